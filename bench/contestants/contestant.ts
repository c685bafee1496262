/** One of those that are measured: how it is served, and how it is spoken to. */
export interface Contestant {
	/** Starts everything that serves, in this process and below it. Runs in a process of its own (`host.ts`). */
	serve(dataDir: string, options: ServeOptions): Promise<Served>
	client(address: Address): Client
}

/** For those that run on workerd; the others have nothing like it. */
export interface ServeOptions {
	/** The Worker to serve instead of the contestant's own. */
	main?: string
	/** Keeps the objects of tenants in memory; otherwise each goes ten seconds after its last request. */
	keepsObjects?: boolean
	/** What the heap of an isolate may hold; with it, the runtime's inspector is open. */
	heapMegabytesMax?: number
}

export interface Address {
	port: number
	/** What operators prove themselves with; null where nothing is asked. */
	secret: string | null
	/** Connection string of the database behind it, for looking at the outcome. */
	database: string | null
	/** Of the runtime's inspector; null where it is closed. */
	inspectorPort: number | null
	/** What stands for Neon's HTTP endpoint in front of that database; null where there is none. */
	endpoint: string | null
}

export interface Served extends Address {
	stop(): Promise<void>
	/** Makes what stands for Neon refuse everything, or serve again. */
	refuseDatabase?(refuses: boolean): void
}

export interface Tenant {
	id: string
	/** Goes into the header that proves who asks. */
	credential: string
}

/** Builds whole requests as text; bodies are ASCII. */
export interface Client {
	/** Makes tenants with empty collections of the bench's schemas, `quiet` ones with a single one and for a few requests a second. */
	provision(count: number, quiet?: boolean): Promise<Tenant[]>
	/** Stores records and returns their ids; not measured. */
	seed(tenant: Tenant, collection: string, records: readonly string[]): Promise<string[]>
	/** `key` makes the write idempotent; contestants that cannot do that ignore it. */
	create(tenant: Tenant, collection: string, record: string, key: string | null): string
	read(tenant: Tenant, collection: string, id: string): string
	/** Absent where the contestant has no such call. */
	list?(tenant: Tenant, collection: string, team: string, limit: number): string
	batch?(tenant: Tenant, collection: string, records: readonly string[]): string
}
