import { defineConfig } from 'drizzle-kit'

export default defineConfig({ dialect: 'postgresql', schema: './db/neon/schema.ts', out: './db/neon/migrations' })
