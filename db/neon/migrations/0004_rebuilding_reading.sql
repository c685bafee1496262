COMMENT ON TABLE shard IS 'The watermark of each shard: how far its changes have been applied. The rows of a shard equal the shard at applied_seq when applied_seq = read_seq, no base is pending and it has no dead letter; otherwise no row is older than applied_seq or newer than read_seq, but rows may be missing where base_hollow.';
--> statement-breakpoint
COMMENT ON COLUMN shard.base_pending IS 'The collections that are still to be read anew, the first in progress; null when none are.';
--> statement-breakpoint
COMMENT ON COLUMN shard.base_after IS 'The last record id that was read of the collection in progress.';
--> statement-breakpoint
COMMENT ON COLUMN shard.base_hollow IS 'True while rows may be missing, because the view started from nothing and its first reading has not ended.';
--> statement-breakpoint
COMMENT ON COLUMN shard.checksum_digest IS 'The sum of the hashes of the shard''s rows modulo 2^64, as the shard told it at checksum_seq.';
--> statement-breakpoint
COMMENT ON COLUMN shard.verified_equal IS 'Whether the rows came to what the shard had told, when they were last compared.';
--> statement-breakpoint
COMMENT ON COLUMN shard.repairs IS 'Rebuilds that a difference has caused.';
--> statement-breakpoint
COMMENT ON TABLE dead_letter IS 'Journal entries that Postgres refused and the view went past. The record of such an entry is absent from the view until a later change, a replay or a rebuild brings it.';
--> statement-breakpoint
COMMENT ON COLUMN dead_letter.hash IS 'What the absent record adds to the shard''s digest.';
--> statement-breakpoint
COMMENT ON TABLE rebuild_shard IS 'The shards that a running rebuild has asked, and the journal position of its entry in each.';
--> statement-breakpoint
COMMENT ON TABLE registry_sweep IS 'How far the view has been compared with the registry of tenants, and what the last whole comparison found.';
--> statement-breakpoint
CREATE OR REPLACE VIEW view_freshness AS
	SELECT
		t.slug AS tenant, s.tenant_id, s.shard, s.applied_seq, s.head_seq, d.dead_letters,
		s.applied_seq = s.read_seq AND s.base_pending IS NULL AND d.dead_letters = 0 AS exact,
		greatest(s.head_seq - s.applied_seq, 0) AS changes_behind,
		CASE WHEN s.behind_since IS NULL THEN interval '0' ELSE now() - s.behind_since END AS lag,
		s.applied_at, s.change_at,
		s.base_pending IS NOT NULL AS rebuilding
	FROM shard s
	LEFT JOIN tenant t USING (tenant_id)
	CROSS JOIN LATERAL (
		SELECT count(*) AS dead_letters FROM dead_letter d WHERE d.tenant_id = s.tenant_id AND d.shard = s.shard
	) d;
