/**
 * Parse Server, set up as its documents say for records that belong to tenants: one user a tenant, an access list on
 * every object, validation before saving, a unique index within the tenant. `DATABASE_URL` and `PORT` come from the environment.
 */
import { ParseServer } from 'parse-server'
import { parseSchema } from '../../core/schema.ts'
import { collection, indexedCollection, indexedSchema, schema } from '../records.ts'

const text = { type: 'String' }
const fields = {
	tenant: { type: 'String', required: true },
	name: text,
	email: text,
	team: text,
	score: { type: 'Number' },
	active: { type: 'Boolean' },
	tags: { type: 'Array' },
	address: { type: 'Object' },
	note: text,
}
const signedIn = { requiresAuthentication: true }
const permissions = {
	find: signedIn,
	get: signedIn,
	count: signedIn,
	create: signedIn,
	update: signedIn,
	delete: signedIn,
}
const definitions = [collection, indexedCollection].map((className) => ({
	className,
	fields,
	classLevelPermissions: permissions,
}))

await ParseServer.startApp({
	appId: 'bench',
	masterKey: process.env.MASTER_KEY,
	databaseURI: process.env.DATABASE_URL,
	databaseOptions: { poolSize: 16 },
	serverURL: `http://127.0.0.1:${process.env.PORT}/parse`,
	host: '127.0.0.1',
	port: Number(process.env.PORT),
	mountPath: '/parse',
	schema: { definitions, strict: true, lockSchemas: true },
	cloud: validateBeforeSaving,
	directAccess: true,
	enforcePrivateUsers: true,
	allowClientClassCreation: false,
	encodeParseObjectInCloudFunction: true,
	logsFolder: null,
	logLevel: 'error',
	silent: true,
	verbose: false,
})
process.send?.('serving')

interface Saving {
	user?: { id: string }
	object: { toJSON(): Record<string, unknown>; set(name: string, value: unknown): void; setACL(acl: unknown): void }
}

function validateBeforeSaving(parse: {
	Cloud: { beforeSave(className: string, run: (saving: Saving) => void): void }
	ACL: new (user: unknown) => unknown
	Error: { new (code: number, message: string): Error; VALIDATION_ERROR: number }
}): void {
	for (const [className, rules] of [
		[collection, schema],
		[indexedCollection, indexedSchema],
	] as const) {
		const parsed = parseSchema(rules)
		if (!parsed.ok) throw new Error('the schema of the bench cannot be used')
		parse.Cloud.beforeSave(className, ({ user, object }) => {
			const { tenant, ACL, createdAt, updatedAt, objectId, ...data } = object.toJSON()
			if (user === undefined || parsed.value.validate(data).length > 0) {
				throw new parse.Error(parse.Error.VALIDATION_ERROR, 'the data does not fit the schema')
			}
			object.set('tenant', user.id)
			object.setACL(new parse.ACL(user))
		})
	}
}
