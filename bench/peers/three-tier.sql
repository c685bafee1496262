-- The three-tier peer's database. Row-level security keeps tenants apart: the application's role owns the tables, so the
-- policies are forced on it. Each call of the API is one function, hence one round trip and one transaction.

CREATE TABLE tenant (id text PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE api_key (
	id text PRIMARY KEY,
	tenant_id text NOT NULL REFERENCES tenant,
	secret_hash text NOT NULL,
	scopes text[] NOT NULL
);

CREATE TABLE collection (
	tenant_id text NOT NULL,
	name text NOT NULL,
	version int NOT NULL,
	schema jsonb NOT NULL,
	PRIMARY KEY (tenant_id, name)
);

CREATE TABLE record (
	tenant_id text COLLATE "C" NOT NULL,
	collection text COLLATE "C" NOT NULL,
	id text COLLATE "C" NOT NULL,
	version int NOT NULL,
	seq bigint NOT NULL,
	data jsonb NOT NULL,
	unique_value text COLLATE "C",
	created_at timestamptz NOT NULL,
	updated_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, collection, id),
	CONSTRAINT record_unique_value UNIQUE (tenant_id, collection, unique_value)
);
CREATE INDEX record_team ON record (tenant_id, collection, (data ->> 'team'), id) WHERE collection = 'members';

CREATE TABLE change (
	seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	tenant_id text NOT NULL,
	collection text NOT NULL,
	id text NOT NULL,
	version int NOT NULL,
	op text NOT NULL,
	actor text NOT NULL,
	at timestamptz NOT NULL
);

CREATE TABLE idempotency (
	tenant_id text NOT NULL,
	key text NOT NULL,
	fingerprint text NOT NULL,
	answer jsonb NOT NULL,
	at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, key)
);

DO $$
DECLARE name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['collection', 'record', 'change', 'idempotency'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
		EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
		EXECUTE format('CREATE POLICY tenant_only ON %I USING (tenant_id = current_setting(''app.tenant'', true))', name);
	END LOOP;
END $$;

-- Sets the tenant of this transaction if the key is good. Errors carry a code of the API in SQLSTATE: FH401, FH403, FH404, FH409.
CREATE FUNCTION enter(p_key text, p_hash text, p_scope text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found api_key;
BEGIN
	SELECT * INTO found FROM api_key WHERE id = p_key;
	IF found.id IS NULL OR found.secret_hash <> p_hash THEN RAISE EXCEPTION 'unauthorized' USING ERRCODE = 'FH401'; END IF;
	IF NOT p_scope = ANY (found.scopes) THEN RAISE EXCEPTION 'scope' USING ERRCODE = 'FH403'; END IF;
	PERFORM set_config('app.tenant', found.tenant_id, true);
	RETURN found.tenant_id;
END $$;

CREATE FUNCTION read_schema(p_key text, p_hash text, p_collection text, OUT o_version int, OUT o_schema text)
LANGUAGE plpgsql AS $$
DECLARE v_tenant text := enter(p_key, p_hash, 'read');
BEGIN
	SELECT version, schema::text INTO o_version, o_schema FROM collection WHERE tenant_id = v_tenant AND name = p_collection;
	IF o_version IS NULL THEN RAISE EXCEPTION 'no collection' USING ERRCODE = 'FH404'; END IF;
END $$;

CREATE FUNCTION put_schema(p_key text, p_hash text, p_collection text, p_schema jsonb) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE v_tenant text := enter(p_key, p_hash, 'schema');
BEGIN
	INSERT INTO collection (tenant_id, name, version, schema) VALUES (v_tenant, p_collection, 1, p_schema)
	ON CONFLICT (tenant_id, name) DO UPDATE SET version = collection.version + 1, schema = excluded.schema;
END $$;

-- The application validated against the schema of p_version; if that has changed since, it reads the schema and tries again.
CREATE FUNCTION create_record(
	p_key text, p_hash text, p_collection text, p_version int, p_id text, p_data jsonb, p_unique text,
	p_idempotency text, p_fingerprint text, OUT o_seq bigint, OUT o_at timestamptz, OUT o_replay jsonb
) LANGUAGE plpgsql AS $$
DECLARE
	v_tenant text := enter(p_key, p_hash, 'write');
	v_earlier idempotency;
BEGIN
	IF p_idempotency IS NOT NULL THEN
		SELECT * INTO v_earlier FROM idempotency WHERE tenant_id = v_tenant AND key = p_idempotency;
		IF v_earlier.key IS NOT NULL THEN
			IF v_earlier.fingerprint <> p_fingerprint THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'FH422'; END IF;
			o_replay := v_earlier.answer;
			RETURN;
		END IF;
	END IF;
	PERFORM 1 FROM collection WHERE tenant_id = v_tenant AND name = p_collection AND version = p_version;
	IF NOT FOUND THEN RAISE EXCEPTION 'schema changed' USING ERRCODE = 'FH409'; END IF;
	o_at := now();
	INSERT INTO change (tenant_id, collection, id, version, op, actor, at)
	VALUES (v_tenant, p_collection, p_id, 1, 'create', p_key, o_at) RETURNING seq INTO o_seq;
	INSERT INTO record (tenant_id, collection, id, version, seq, data, unique_value, created_at, updated_at)
	VALUES (v_tenant, p_collection, p_id, 1, o_seq, p_data, p_unique, o_at, o_at);
	IF p_idempotency IS NOT NULL THEN
		INSERT INTO idempotency (tenant_id, key, fingerprint, answer, at)
		VALUES (v_tenant, p_idempotency, p_fingerprint, jsonb_build_object('id', p_id, 'seq', o_seq, 'at', o_at), o_at);
	END IF;
END $$;

-- p_rows: [{i: id, u: unique value, d: data}], inserted by set.
CREATE FUNCTION create_records(p_key text, p_hash text, p_collection text, p_version int, p_rows jsonb, OUT o_seqs text)
LANGUAGE plpgsql AS $$
DECLARE v_tenant text := enter(p_key, p_hash, 'write');
BEGIN
	PERFORM 1 FROM collection WHERE tenant_id = v_tenant AND name = p_collection AND version = p_version;
	IF NOT FOUND THEN RAISE EXCEPTION 'schema changed' USING ERRCODE = 'FH409'; END IF;
	WITH given AS MATERIALIZED (
		SELECT r.i, r.u, r.d, nextval(pg_get_serial_sequence('change', 'seq')) AS seq
		FROM jsonb_to_recordset(p_rows) AS r (i text, u text, d jsonb)
	), changed AS (
		INSERT INTO change (seq, tenant_id, collection, id, version, op, actor, at) OVERRIDING SYSTEM VALUE
		SELECT seq, v_tenant, p_collection, i, 1, 'create', p_key, now() FROM given
	), stored AS (
		INSERT INTO record (tenant_id, collection, id, version, seq, data, unique_value, created_at, updated_at)
		SELECT v_tenant, p_collection, i, 1, seq, d, u, now(), now() FROM given
	)
	SELECT string_agg(seq::text, ',' ORDER BY seq) INTO o_seqs FROM given;
END $$;

CREATE FUNCTION read_record(p_key text, p_hash text, p_collection text, p_id text)
RETURNS TABLE (version int, seq bigint, created_at timestamptz, updated_at timestamptz, data text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_tenant text := enter(p_key, p_hash, 'read');
BEGIN
	RETURN QUERY SELECT r.version, r.seq, r.created_at, r.updated_at, r.data::text FROM record r
	WHERE r.tenant_id = v_tenant AND r.collection = p_collection AND r.id = p_id;
END $$;

CREATE FUNCTION list_members(p_key text, p_hash text, p_team text, p_after text, p_limit int)
RETURNS TABLE (id text, version int, seq bigint, created_at timestamptz, updated_at timestamptz, data text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE v_tenant text := enter(p_key, p_hash, 'read');
BEGIN
	RETURN QUERY SELECT r.id, r.version, r.seq, r.created_at, r.updated_at, r.data::text FROM record r
	WHERE r.tenant_id = v_tenant AND r.collection = 'members' AND r.data ->> 'team' = p_team AND r.id > p_after
	ORDER BY r.id LIMIT p_limit;
END $$;
