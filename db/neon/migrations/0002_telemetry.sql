CREATE TABLE "shard_usage" (
	"tenant_id" text COLLATE "C" NOT NULL,
	"shard" integer NOT NULL,
	"size_bytes" bigint NOT NULL,
	"records" bigint NOT NULL,
	"api_keys" integer NOT NULL,
	"rows_written" bigint NOT NULL,
	"rows_read" bigint NOT NULL,
	"messages" bigint NOT NULL,
	"meter" text NOT NULL,
	"meter_rows_written" bigint NOT NULL,
	"meter_rows_read" bigint NOT NULL,
	"meter_messages" bigint NOT NULL,
	"reported_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "shard_usage_tenant_id_shard_pk" PRIMARY KEY("tenant_id","shard")
);
--> statement-breakpoint
CREATE TABLE "telemetry_latency" (
	"grain" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"route" text COLLATE "C" NOT NULL,
	"bucket" integer NOT NULL,
	"requests" bigint NOT NULL,
	CONSTRAINT "telemetry_latency_grain_at_route_bucket_pk" PRIMARY KEY("grain","at","route","bucket")
);
--> statement-breakpoint
CREATE TABLE "telemetry_message" (
	"id" text PRIMARY KEY NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "telemetry_request" (
	"grain" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"route" text COLLATE "C" NOT NULL,
	"class" text COLLATE "C" NOT NULL,
	"requests" bigint NOT NULL,
	"duration_ms" bigint NOT NULL,
	CONSTRAINT "telemetry_request_grain_at_route_class_pk" PRIMARY KEY("grain","at","route","class")
);
--> statement-breakpoint
CREATE TABLE "telemetry_tenant" (
	"grain" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"tenant_id" text COLLATE "C" NOT NULL,
	"route" text COLLATE "C" NOT NULL,
	"class" text COLLATE "C" NOT NULL,
	"requests" bigint NOT NULL,
	CONSTRAINT "telemetry_tenant_grain_at_tenant_id_route_class_pk" PRIMARY KEY("grain","at","tenant_id","route","class")
);
--> statement-breakpoint
CREATE TABLE "telemetry_usage" (
	"grain" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"tenant_id" text COLLATE "C" NOT NULL,
	"size_bytes" bigint NOT NULL,
	"records" bigint NOT NULL,
	"api_keys" integer NOT NULL,
	"changes" bigint NOT NULL,
	"rows_written" bigint NOT NULL,
	"rows_read" bigint NOT NULL,
	"messages" bigint NOT NULL,
	CONSTRAINT "telemetry_usage_tenant_id_grain_at_pk" PRIMARY KEY("tenant_id","grain","at")
);
--> statement-breakpoint
CREATE INDEX "telemetry_tenant_tenant" ON "telemetry_tenant" USING btree ("tenant_id");