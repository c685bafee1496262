import { env } from 'cloudflare:workers'
import { bucketOf, type Env } from '../../workers/env.ts'
import { testBucket } from '../bucket-contract.ts'

const { BUCKET } = env as unknown as Env & { BUCKET: R2Bucket }

testBucket(() => bucketOf(BUCKET))
