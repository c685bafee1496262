-- What people and the API read. Everything goes through one role without a login: a deployment grants it to the logins
-- that it creates, and none of them can write.
DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'freehold_read') THEN
		CREATE ROLE freehold_read NOLOGIN;
	END IF;
EXCEPTION
	-- Roles belong to the whole server: another region's database on it may be creating this one right now.
	WHEN duplicate_object OR unique_violation THEN NULL;
END
$$;
--> statement-breakpoint
COMMENT ON TABLE tenant IS 'The tenants of this region, as their home shards last described themselves.';
--> statement-breakpoint
COMMENT ON TABLE shard IS 'The watermark of each shard: how far its changes have been applied. The rows of a shard equal the shard at applied_seq when applied_seq = read_seq and it has no dead letter; otherwise no row is older than applied_seq or newer than read_seq.';
--> statement-breakpoint
COMMENT ON COLUMN shard.epoch IS 'Nothing of another epoch is ever applied.';
--> statement-breakpoint
COMMENT ON COLUMN shard.revision IS 'Fences every statement that changes this shard''s rows; each of them raises it.';
--> statement-breakpoint
COMMENT ON COLUMN shard.applied_seq IS 'Every change up to this journal position is in the view.';
--> statement-breakpoint
COMMENT ON COLUMN shard.read_seq IS 'The journal''s head when the last applied page was read.';
--> statement-breakpoint
COMMENT ON COLUMN shard.head_seq IS 'The highest head that a wake-up or a page has named.';
--> statement-breakpoint
COMMENT ON COLUMN shard.applied_at IS 'When the watermark moved last, by the clock of this database.';
--> statement-breakpoint
COMMENT ON COLUMN shard.change_at IS 'When the change at applied_seq was written, by the clock of the shard.';
--> statement-breakpoint
COMMENT ON COLUMN shard.behind_since IS 'Since when changes have been known that are not applied yet; null when none are known.';
--> statement-breakpoint
COMMENT ON TABLE collection IS 'The collections of every tenant. fields lists the properties that are typed as one scalar and are not personal: [{"name", "type"}].';
--> statement-breakpoint
COMMENT ON TABLE record IS 'The records of every tenant, without their personal properties. created_at and updated_at are the shard''s.';
--> statement-breakpoint
COMMENT ON TABLE dead_letter IS 'Journal entries that Postgres refused and the view went past. The record of such an entry is absent from the view until a later change brings it.';
--> statement-breakpoint
COMMENT ON COLUMN dead_letter.reason IS 'SQLSTATE and its class; never data.';
--> statement-breakpoint
CREATE VIEW live_record AS
	SELECT t.slug AS tenant, r.tenant_id, r.collection, r.id, r.version, r.data, r.created_at, r.updated_at
	FROM record r
	JOIN tenant t USING (tenant_id);
--> statement-breakpoint
COMMENT ON VIEW live_record IS 'Every record beside the slug of its tenant. Example: SELECT tenant, data->>''plan'' AS plan FROM live_record WHERE collection = ''subscriptions''.';
--> statement-breakpoint
CREATE VIEW collection_field AS
	SELECT t.slug AS tenant, c.tenant_id, c.name AS collection, f.name AS field, f.type
	FROM collection c
	JOIN tenant t USING (tenant_id)
	CROSS JOIN LATERAL jsonb_to_recordset(c.fields) AS f (name text, type text);
--> statement-breakpoint
COMMENT ON VIEW collection_field IS 'The data dictionary: which scalar properties the records of a collection may have, and their JSON type (string, number, integer, boolean). Tenants may type a property differently.';
--> statement-breakpoint
CREATE VIEW collection_summary AS
	SELECT t.slug AS tenant, c.tenant_id, c.name AS collection, n.records, n.first_created_at, n.last_updated_at
	FROM collection c
	JOIN tenant t USING (tenant_id)
	CROSS JOIN LATERAL (
		SELECT count(*) AS records, min(r.created_at) AS first_created_at, max(r.updated_at) AS last_updated_at
		FROM record r
		WHERE r.tenant_id = c.tenant_id AND r.collection = c.name
	) n;
--> statement-breakpoint
COMMENT ON VIEW collection_summary IS 'How many records each tenant has in each collection, when the first was created and when the last was updated.';
--> statement-breakpoint
CREATE VIEW view_freshness AS
	SELECT
		t.slug AS tenant, s.tenant_id, s.shard, s.applied_seq, s.head_seq, d.dead_letters,
		s.applied_seq = s.read_seq AND d.dead_letters = 0 AS exact,
		greatest(s.head_seq - s.applied_seq, 0) AS changes_behind,
		CASE WHEN s.behind_since IS NULL THEN interval '0' ELSE now() - s.behind_since END AS lag,
		s.applied_at, s.change_at
	FROM shard s
	LEFT JOIN tenant t USING (tenant_id)
	CROSS JOIN LATERAL (
		SELECT count(*) AS dead_letters FROM dead_letter d WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard
	) d;
--> statement-breakpoint
COMMENT ON VIEW view_freshness IS 'How far the view has come, per shard: exact says that its rows equal the shard at applied_seq, lag how long known changes have been waiting.';
--> statement-breakpoint
GRANT USAGE ON SCHEMA public TO freehold_read;
--> statement-breakpoint
GRANT SELECT ON ALL TABLES IN SCHEMA public TO freehold_read;
--> statement-breakpoint
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO freehold_read;
