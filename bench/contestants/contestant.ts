/** One of those that are measured: how it is served, and how it is spoken to. */
export interface Contestant {
	/**
	 * Starts everything that serves, in this process and below it. Runs in a process of its own (`host.ts`). `main`
	 * is the Worker to serve instead of the contestant's own.
	 */
	serve(dataDir: string, main?: string): Promise<Served>
	client(address: Address): Client
}

export interface Address {
	port: number
	/** What operators prove themselves with; null where nothing is asked. */
	secret: string | null
	/** Connection string of the database behind it, for looking at the outcome. */
	database: string | null
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
	/** Makes tenants with empty collections of the bench's schemas. */
	provision(count: number): Promise<Tenant[]>
	/** Stores records and returns their ids; not measured. */
	seed(tenant: Tenant, collection: string, records: readonly string[]): Promise<string[]>
	/** `key` makes the write idempotent; contestants that cannot do that ignore it. */
	create(tenant: Tenant, collection: string, record: string, key: string | null): string
	read(tenant: Tenant, collection: string, id: string): string
	/** Absent where the contestant has no such call. */
	list?(tenant: Tenant, collection: string, team: string, limit: number): string
	batch?(tenant: Tenant, collection: string, records: readonly string[]): string
}
