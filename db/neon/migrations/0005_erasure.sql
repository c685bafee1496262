CREATE TABLE "erasure" (
	"tenant_id" text COLLATE "C" PRIMARY KEY NOT NULL,
	"epoch" bigint NOT NULL,
	"erased_at" timestamp (3) with time zone NOT NULL
);
