import { alertRoutes } from './alerts.ts'
import { auditRoutes } from './audit.ts'
import { batchRoutes } from './batch.ts'
import { changeRoutes } from './changes.ts'
import { collectionRoutes } from './collections.ts'
import { consoleRoutes } from './console.ts'
import { dataMapRoutes } from './data-map.ts'
import { deadLetterRoutes } from './dead-letters.ts'
import { docsRoutes } from './docs.ts'
import { erasureRoutes } from './erasures.ts'
import { exportRoutes } from './exports.ts'
import { importRoutes } from './imports.ts'
import { incidentRoutes } from './incidents.ts'
import { keyRotationRoutes } from './key-rotation.ts'
import { keyRoutes } from './keys.ts'
import { masterSecretRoutes } from './master-secret.ts'
import { metricsRoutes } from './metrics.ts'
import { moveRoutes } from './moves.ts'
import { openApiRoute } from './openapi.ts'
import { operatorRoutes } from './operator.ts'
import { rebuildRoutes } from './rebuild.ts'
import { recordRoutes } from './records.ts'
import { rewindRoutes } from './rewind.ts'
import type { Access, Method, Route } from './route.ts'
import { shardRoutes } from './shards.ts'
import { sloRoutes } from './slo.ts'
import { statusRoutes } from './status.ts'
import { subjectRoutes } from './subjects.ts'
import { tenantRoutes } from './tenant.ts'
import { tenantListRoutes } from './tenant-lists.ts'
import { tenantsRoutes } from './tenants.ts'
import { trafficRoutes } from './traffic.ts'
import { verificationRoutes } from './verification.ts'
import { viewRoutes } from './view.ts'
import { webhookRoutes } from './webhooks.ts'

const described: readonly Route[] = [
	...docsRoutes,
	...consoleRoutes,
	...tenantsRoutes,
	...tenantListRoutes,
	...erasureRoutes,
	...viewRoutes,
	...verificationRoutes,
	...rebuildRoutes,
	...deadLetterRoutes,
	...operatorRoutes,
	...metricsRoutes,
	...trafficRoutes,
	...shardRoutes,
	...sloRoutes,
	...alertRoutes,
	...incidentRoutes,
	...statusRoutes,
	...masterSecretRoutes,
	...tenantRoutes,
	...collectionRoutes,
	...recordRoutes,
	...batchRoutes,
	...changeRoutes,
	...auditRoutes,
	...subjectRoutes,
	...dataMapRoutes,
	...keyRoutes,
	...webhookRoutes,
	...exportRoutes,
	...importRoutes,
	...moveRoutes,
	...rewindRoutes,
	...keyRotationRoutes,
]

/** Every route of the API. */
export const routes: readonly Route[] = [...described, openApiRoute(described)]

/** What each route needs, for tests that try every route with every wrong credential. */
export const routeTable: readonly {
	method: Method
	path: string
	access: Access
	mutates: boolean
	/** In JSON. */
	takesBody: boolean
}[] = routes.map(({ definition, access }) => ({
	method: definition.method,
	path: definition.path,
	access,
	mutates: definition.mutates === true,
	takesBody: definition.body?.media.endsWith('json') === true,
}))
