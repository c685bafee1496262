import { expect, test } from 'vitest'
import { migrate } from '../../db/shard/migrate.ts'
import { nodeSql } from '../node-sql.ts'

const first = { id: 1, sql: 'CREATE TABLE a (x INTEGER); CREATE TABLE b (y INTEGER)' }
const second = { id: 2, sql: 'ALTER TABLE a ADD COLUMN z INTEGER' }

test('migrations run once, in order, and keep the rows that are there', () => {
	const sql = nodeSql()
	migrate(sql, [first])
	sql.all('INSERT INTO a (x) VALUES (?)', 1)
	migrate(sql, [first, second])
	migrate(sql, [first, second])
	expect(sql.all('SELECT x, z FROM a')).toEqual([{ x: 1, z: null }])
})

test('an edited migration and a database newer than the code are refused', () => {
	const sql = nodeSql()
	migrate(sql, [first, second])
	expect(() => migrate(sql, [first])).toThrow('newer')
	expect(() => migrate(sql, [first, { ...second, sql: `${second.sql} DEFAULT 1` }])).toThrow('edited')
})

test('[D2] a migration that fails leaves the database as it was', () => {
	const sql = nodeSql()
	migrate(sql, [first])
	expect(() =>
		migrate(sql, [first, { id: 2, sql: 'CREATE TABLE c (x INTEGER); CREATE TABLE a (x INTEGER)' }]),
	).toThrow()
	expect(sql.all("SELECT name FROM sqlite_master WHERE name = 'c'")).toEqual([])
	expect(sql.all('SELECT id FROM migration')).toEqual([{ id: 1 }])
})
