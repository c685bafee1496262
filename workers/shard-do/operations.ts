import type { Answer, Operation, OperationName, Operations, Scope } from '../../core/contract.ts'
import type { Outcome } from '../../core/refusal.ts'
import { listAudit, verifyAudit } from './audit.ts'
import { runBatch } from './batch.ts'
import { deleteCollection, getCollection, listCollections, putCollection } from './collections.ts'
import { noteErasure } from './erasure.ts'
import { createExport, deleteExport, downloadExport, getExport, listExports } from './export.ts'
import { createImport, getImport, listImports, uploadImport } from './import.ts'
import { getRotation, startRotation } from './key-rotation.ts'
import { createKey, deleteKey, listKeys } from './keys.ts'
import { createRecord, deleteRecord, getRecord, listCollectionRecords, patchRecord, putRecord } from './records.ts'
import { getRestriction, releaseSubject, restrictSubject } from './restriction.ts'
import { listSubjectRequests } from './subject-register.ts'
import { eraseSubject, readSubject } from './subjects.ts'
import { getTenant, updateTenant } from './tenant.ts'
import {
	createWebhook,
	deleteWebhook,
	getWebhook,
	listWebhooks,
	rotateWebhook,
	testWebhook,
	updateWebhook,
} from './webhooks.ts'
import type { Work } from './work.ts'

/** What an operation asks of its caller, whether it writes, and what it does. */
interface Rule<N extends OperationName> {
	/** The scope that a key needs; null for what only operators do. */
	scope: Scope | null
	/** Whether operators may do it for a tenant: look at it, limit it, carry it elsewhere as a whole. */
	operators?: true
	/** `read` for what changes nothing and needs no turn. */
	does: 'read' | 'write'
	/** Changes records or their form, which nobody may in a restricted tenant. */
	alters?: true
	run(work: Work, takes: Operations[N]['takes'], scopes: readonly Scope[]): Outcome<Answer<N>>
}

/** Every operation of a shard. A new one is a line here and a function in the file of what it is about. */
const operations: { readonly [N in OperationName]: Rule<N> } = {
	'record.create': { scope: 'write', does: 'write', alters: true, run: createRecord },
	'record.put': { scope: 'write', does: 'write', alters: true, run: putRecord },
	'record.patch': { scope: 'write', does: 'write', alters: true, run: patchRecord },
	'record.delete': { scope: 'write', does: 'write', alters: true, run: deleteRecord },
	'record.get': { scope: 'read', does: 'read', run: getRecord },
	'record.list': { scope: 'read', does: 'read', run: listCollectionRecords },
	batch: { scope: 'write', does: 'write', alters: true, run: runBatch },
	'collection.put': { scope: 'schema', does: 'write', alters: true, run: putCollection },
	'collection.get': { scope: 'read', does: 'read', run: getCollection },
	'collection.list': { scope: 'read', operators: true, does: 'read', run: listCollections },
	'collection.delete': { scope: 'schema', does: 'write', alters: true, run: deleteCollection },
	'changes.list': {
		scope: 'read',
		does: 'read',
		run: ({ journal }, { after, limit }) => journal.segments.changesAfter(after, limit, journal.head),
	},
	'key.create': {
		scope: 'keys',
		does: 'write',
		run: (work, takes, scopes) => createKey(work, { kind: 'key', scopes }, takes),
	},
	'key.list': { scope: 'keys', operators: true, does: 'read', run: listKeys },
	'key.delete': { scope: 'keys', does: 'write', run: deleteKey },
	// An endpoint carries the journal out of the house for as long as it exists. Who may export could read all of it anyway,
	// while `keys` alone is no way to what other scopes allow.
	'webhook.create': { scope: 'export', does: 'write', run: createWebhook },
	'webhook.list': { scope: 'export', does: 'read', run: listWebhooks },
	'webhook.get': { scope: 'export', does: 'read', run: getWebhook },
	'webhook.update': { scope: 'export', does: 'write', run: updateWebhook },
	'webhook.rotate': { scope: 'export', does: 'write', run: rotateWebhook },
	'webhook.test': { scope: 'export', does: 'write', run: testWebhook },
	'webhook.delete': { scope: 'export', does: 'write', run: deleteWebhook },
	// An import makes collections, which only `schema` may, and there are no records yet that it could change.
	'import.create': { scope: 'schema', operators: true, does: 'write', alters: true, run: createImport },
	'import.get': { scope: 'schema', operators: true, does: 'read', run: getImport },
	'import.list': { scope: 'schema', operators: true, does: 'read', run: listImports },
	'import.upload': { scope: 'schema', operators: true, does: 'write', alters: true, run: uploadImport },
	'export.create': { scope: 'export', operators: true, does: 'write', run: createExport },
	'export.get': { scope: 'export', operators: true, does: 'read', run: getExport },
	'export.list': { scope: 'export', operators: true, does: 'read', run: listExports },
	// Who took the archive is entered in the journal.
	'export.download': { scope: 'export', operators: true, does: 'write', run: downloadExport },
	'export.delete': { scope: 'export', operators: true, does: 'write', run: deleteExport },
	'tenant.get': { scope: 'read', operators: true, does: 'read', run: getTenant },
	'tenant.update': { scope: null, operators: true, does: 'write', run: updateTenant },
	'tenant.erasure': { scope: 'erase', operators: true, does: 'write', run: noteErasure },
	// The keys are wrapped by a secret of the operators', and what a rotation destroys is missing when they rewind the tenant.
	'rotation.start': { scope: null, operators: true, does: 'write', run: startRotation },
	'rotation.get': { scope: null, operators: true, does: 'read', run: getRotation },
	// Whose data was read is entered in the journal.
	'subject.read': { scope: 'export', does: 'write', run: readSubject },
	'subject.erase': { scope: 'erase', does: 'write', run: eraseSubject },
	// As much a decision about a person as an erasure is; it takes away what `write` may change.
	'subject.restrict': { scope: 'erase', does: 'write', run: restrictSubject },
	'subject.release': { scope: 'erase', does: 'write', run: releaseSubject },
	'subject.restriction': { scope: 'export', does: 'read', run: getRestriction },
	'subject.requests': { scope: 'export', does: 'read', run: listSubjectRequests },
	'audit.list': { scope: 'read', operators: true, does: 'read', run: listAudit },
	'audit.verify': { scope: 'read', does: 'read', run: verifyAudit },
}

export function ruleOf<N extends OperationName>(name: N): Rule<N> {
	return operations[name]
}

/** The record that an operation is about and expects to find; null for those about none or many. */
export function recordOf(operation: Operation): { collection: string; id: string } | null {
	switch (operation.name) {
		case 'record.get':
		case 'record.patch':
		case 'record.delete':
			return operation
		default:
			return null
	}
}

/** What an operation takes of the tenant's rate: a request, and a batch more by its size. */
export function costOf(operation: Operation): number {
	return operation.name === 'batch' ? 1 + Math.floor(operation.operations.length / 50) : 1
}
