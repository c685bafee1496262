CREATE TABLE "collection" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"name" text COLLATE "C" NOT NULL,
	"fields" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "collection_tenant_id_name_pk" PRIMARY KEY("tenant_id","name")
);
--> statement-breakpoint
CREATE TABLE "dead_letter" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "dead_letter_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" text COLLATE "C" NOT NULL,
	"shard" integer NOT NULL,
	"epoch" bigint NOT NULL,
	"seq" bigint NOT NULL,
	"collection" text COLLATE "C",
	"record_id" text COLLATE "C",
	"op" text NOT NULL,
	"reason" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "record" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"collection" text COLLATE "C" NOT NULL,
	"id" text COLLATE "C" NOT NULL,
	"version" integer NOT NULL,
	"data" jsonb NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "record_tenant_id_collection_id_pk" PRIMARY KEY("tenant_id","collection","id")
);
--> statement-breakpoint
CREATE TABLE "shard" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"shard" integer NOT NULL,
	"epoch" bigint NOT NULL,
	"revision" bigint NOT NULL,
	"applied_seq" bigint NOT NULL,
	"read_seq" bigint NOT NULL,
	"head_seq" bigint NOT NULL,
	"applied_at" timestamp (3) with time zone,
	"change_at" timestamp (3) with time zone,
	"behind_since" timestamp (3) with time zone,
	CONSTRAINT "shard_tenant_id_shard_pk" PRIMARY KEY("tenant_id","shard")
);
--> statement-breakpoint
CREATE TABLE "tenant" (
	"tenant_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"slug" text NOT NULL,
	"name" text NOT NULL,
	"status" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "dead_letter_record" ON "dead_letter" USING btree ("tenant_id","collection","record_id");