CREATE TABLE "rebuild_shard" (
	"rebuild_id" text COLLATE "C" NOT NULL,
	"tenant_id" text COLLATE "C" NOT NULL,
	"shard" integer NOT NULL,
	"seq" bigint,
	CONSTRAINT "rebuild_shard_rebuild_id_tenant_id_shard_pk" PRIMARY KEY("rebuild_id","tenant_id","shard")
);
--> statement-breakpoint
CREATE TABLE "registry_sweep" (
	"only_row" integer PRIMARY KEY DEFAULT 1 NOT NULL,
	"cursor" text COLLATE "C",
	"tenants" integer DEFAULT 0 NOT NULL,
	"missing" integer DEFAULT 0 NOT NULL,
	"last_tenants" integer,
	"last_missing" integer,
	"last_at" timestamp (3) with time zone
);
--> statement-breakpoint
ALTER TABLE "dead_letter" ADD COLUMN "hash" numeric(20, 0);--> statement-breakpoint
ALTER TABLE "dead_letter" ADD COLUMN "attempts" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "dead_letter" ADD COLUMN "refused_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "dead_letter" ADD COLUMN "replay_asked_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "dead_letter" ADD COLUMN "discarded_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_pending" jsonb;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_after" text COLLATE "C";--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_hollow" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_done" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_total" bigint DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_started_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "base_finished_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "checksum_seq" bigint;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "checksum_count" bigint;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "checksum_digest" numeric(20, 0);--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "verified_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "verified_equal" boolean;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "repairs" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "shard" ADD COLUMN "repaired_at" timestamp (3) with time zone;