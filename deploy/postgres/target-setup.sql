-- Rampkeeper: prepares a PostgreSQL server (15 to 18) to be a target.
--
-- Run it once as a superuser, in the database that the connector's URL will
-- name, and again with each new version of Rampkeeper; running it twice
-- changes nothing:
--
--     psql -X -v ON_ERROR_STOP=1 -d DATABASE -f target-setup.sql
--
-- It gives the broker exactly what it needs and no more. The broker's login
-- has no attribute and no right on any table; all it can do is call the
-- functions below. They run as rampkeeper_grantor, which nobody can log in as
-- or switch to, and check every argument themselves:
--
--     rampkeeper_grantor    owns the functions; may create roles (CREATEROLE)
--     rampkeeper_broker   may call them; the broker's login is a member
--     rampkeeper_login    marks the logins that the broker made
--     rampkeeper_adopted  marks existing logins that you hand to the broker
--     rampkeeper_canary   a role without rights, for the broker's self-test
--
-- Why not simply CREATEROLE for the broker's login? On 15 such a login can
-- make itself a member of pg_execute_server_program and run programs as the
-- server's operating-system user. On 16 and later it would be safer, but this
-- way is the same on every version, and narrower.
--
-- Then say, still as superuser, what is yours to decide:
--
--   1. The broker's own login, with a password of your choice (set it with
--      \password, which keeps it out of the server's log):
--          CREATE ROLE rampkeeper LOGIN IN ROLE rampkeeper_broker;
--
--   2. Each role that may be handed out. It must not be able to log in, and
--      it must not lead to superuser, CREATEROLE, CREATEDB, REPLICATION,
--      BYPASSRLS, to files or programs of the server, or to ADMIN OPTION:
--          GRANT app_readonly TO rampkeeper_grantor WITH ADMIN OPTION;
--      To take a role back from the broker: REVOKE the same, with CASCADE.
--
--   3. In pg_hba.conf, before wider rules: logins that the broker made come
--      in by password only. Then VALID UNTIL is real, and the server itself
--      refuses new sessions from the end of a grant on:
--          hostssl  all  +rampkeeper_login  0.0.0.0/0  scram-sha-256
--
--   4. How many sessions a login that the broker made may have at once. It is
--      10 unless you say otherwise, so that nobody keeps the broker out by
--      taking every connection there is; it counts from the next grant on:
--          ALTER ROLE rampkeeper_login CONNECTION LIMIT 20;
--      On 16 and later keep some connections for the broker besides, in
--      postgresql.conf; rampkeeper_broker may use them:
--          reserved_connections = 4        -- two for each replica
--
--   5. Only if people keep logins of their own (create_logins: false), for
--      each of them:
--          GRANT rampkeeper_adopted TO alice;
--
-- Roles belong to the whole server: one database with this schema serves them
-- all. To remove it: DROP SCHEMA rampkeeper_target CASCADE, then drop the five roles.

BEGIN;
SET LOCAL client_min_messages = warning; -- not a word about what is there already
SET LOCAL search_path = pg_catalog, pg_temp;

DO $setup$
DECLARE
	name text;
	what text;
	v16 constant boolean := current_setting('server_version_num')::int >= 160000;
BEGIN
	IF current_setting('server_version_num')::int < 150000 THEN
		RAISE EXCEPTION 'Rampkeeper needs PostgreSQL 15 or later';
	END IF;
	IF NOT (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN
		RAISE EXCEPTION 'run this as a superuser: it makes roles and gives % pg_signal_backend', 'rampkeeper_grantor';
	END IF;
	IF EXISTS (SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid = n.nspowner
			WHERE n.nspname = 'rampkeeper_target' AND NOT r.rolsuper) THEN
		RAISE EXCEPTION 'a schema rampkeeper_target exists here and belongs to somebody who is not a superuser: look at it first';
	END IF;
	-- What lies in the schema is going to run with the owner's rights.
	SELECT x.what INTO what FROM (
			SELECT p.oid::regprocedure::text, p.proowner FROM pg_catalog.pg_proc p WHERE p.pronamespace = to_regnamespace('rampkeeper_target')
			UNION ALL SELECT c.oid::regclass::text, c.relowner FROM pg_catalog.pg_class c WHERE c.relnamespace = to_regnamespace('rampkeeper_target')
		) AS x(what, owner) JOIN pg_catalog.pg_roles r ON r.oid = x.owner
		WHERE NOT r.rolsuper AND r.rolname <> 'rampkeeper_grantor' LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '% belongs to somebody who is not a superuser: look at it first', what;
	END IF;
	SELECT m.member::regrole::text INTO name FROM pg_catalog.pg_auth_members m WHERE m.roleid = to_regrole('rampkeeper_grantor') LIMIT 1;
	IF FOUND THEN
		RAISE EXCEPTION '% is a member of rampkeeper_grantor, which nobody may be: look at it first', name;
	END IF;
	FOR name, what IN VALUES
		('rampkeeper_grantor', 'Owns the functions of schema rampkeeper_target. Nobody logs in as it or becomes it.'),
		('rampkeeper_broker', 'May call the functions of schema rampkeeper_target: the login of the Rampkeeper broker.'),
		('rampkeeper_login', 'Members are logins that Rampkeeper made and turns on and off.'),
		('rampkeeper_adopted', 'Members are existing logins to which Rampkeeper may grant roles.'),
		('rampkeeper_canary', 'Has no rights; Rampkeeper grants and revokes it to test itself.')
	LOOP
		IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name) THEN
			BEGIN
				EXECUTE format('CREATE ROLE %I NOLOGIN', name);
				EXECUTE format('COMMENT ON ROLE %I IS %L', name, what);
			EXCEPTION WHEN duplicate_object OR unique_violation THEN
				NULL; -- the script runs in another database of this server, right now
			END;
		END IF;
		IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = name AND (rolcanlogin OR rolsuper OR rolcreatedb OR rolreplication OR rolbypassrls
				OR rolcreaterole <> (name = 'rampkeeper_grantor') OR rolinherit = (v16 AND name = 'rampkeeper_grantor'))) THEN
			EXECUTE format('ALTER ROLE %I NOLOGIN NOSUPERUSER NOCREATEDB NOREPLICATION NOBYPASSRLS %s', name,
				CASE WHEN name <> 'rampkeeper_grantor' THEN 'NOCREATEROLE INHERIT' WHEN v16 THEN 'CREATEROLE NOINHERIT' ELSE 'CREATEROLE INHERIT' END);
		END IF;
	END LOOP;
	-- The owner may see and end sessions, and hand out these three. On 15 it
	-- cannot be kept from inheriting what it hands out; but nobody is the owner.
	IF v16 THEN
		EXECUTE 'GRANT pg_signal_backend, pg_read_all_stats TO rampkeeper_grantor WITH INHERIT TRUE, SET FALSE';
		EXECUTE 'GRANT rampkeeper_login, rampkeeper_canary TO rampkeeper_grantor WITH ADMIN TRUE, INHERIT FALSE, SET FALSE';
	ELSE
		GRANT pg_signal_backend, pg_read_all_stats TO rampkeeper_grantor;
		GRANT rampkeeper_login, rampkeeper_canary TO rampkeeper_grantor WITH ADMIN OPTION;
	END IF;
	IF v16 THEN -- ending access must not fail because others took every connection
		EXECUTE 'GRANT pg_use_reserved_connections TO rampkeeper_broker';
	END IF;
END
$setup$;

CREATE SCHEMA IF NOT EXISTS rampkeeper_target;
REVOKE ALL ON SCHEMA rampkeeper_target FROM PUBLIC;
GRANT USAGE ON SCHEMA rampkeeper_target TO rampkeeper_grantor, rampkeeper_broker;

-- What the broker granted and has not finished removing. Roles are kept by
-- oid besides, so that a renamed role is still found and a new role of an old
-- name is not mistaken for it.
CREATE TABLE IF NOT EXISTS rampkeeper_target.held (
	login text NOT NULL,
	role text NOT NULL,
	login_oid oid NOT NULL,
	role_oid oid NOT NULL,
	until timestamptz NOT NULL CHECK (isfinite(until)),
	granted_at timestamptz NOT NULL,
	removing boolean NOT NULL DEFAULT false, -- revoked; sessions are being ended
	cut_before timestamptz,                  -- sessions that began by then must end
	PRIMARY KEY (login, role)
);
-- One row for each login: its lock puts work on a login in order. An advisory
-- lock would not do, because whoever is connected could hold it for ever.
CREATE TABLE IF NOT EXISTS rampkeeper_target.login (login text PRIMARY KEY);
REVOKE ALL ON rampkeeper_target.held, rampkeeper_target.login FROM PUBLIC, rampkeeper_broker;
GRANT SELECT, INSERT, UPDATE, DELETE ON rampkeeper_target.held, rampkeeper_target.login TO rampkeeper_grantor;

-- ---------------------------------------------------------------------------
-- Helpers. Only the functions further down call them.

-- Errors that the broker knows: RKN01 a bad name, RKP01 a refusal that trying
-- again does not change, RKR01 any other refusal, RKD01 it is too late.
CREATE OR REPLACE FUNCTION rampkeeper_target.refuse(p_code text, p_why text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	RAISE EXCEPTION USING ERRCODE = p_code, MESSAGE = p_why;
END
$$;

-- Names come as text: the type name would silently cut them at 63 bytes.
CREATE OR REPLACE FUNCTION rampkeeper_target.check_name(p_name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF p_name IS NULL OR p_name = '' THEN
		PERFORM rampkeeper_target.refuse('RKN01', 'the name is empty');
	ELSIF octet_length(p_name) > 63 THEN
		PERFORM rampkeeper_target.refuse('RKN01', 'the name is longer than 63 bytes');
	ELSIF p_name ~ '[\u0001-\u001f\u007f]' THEN
		PERFORM rampkeeper_target.refuse('RKN01', 'the name holds control characters');
	ELSIF p_name IN ('public', 'none') OR p_name LIKE 'pg\_%' THEN
		PERFORM rampkeeper_target.refuse('RKN01', 'the name is reserved by PostgreSQL');
	END IF;
END
$$;

CREATE OR REPLACE FUNCTION rampkeeper_target.check_time(p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF p_deadline IS NULL OR clock_timestamp() > p_deadline THEN
		PERFORM rampkeeper_target.refuse('RKD01', 'the deadline of the operation has passed; nothing was done');
	END IF;
END
$$;

CREATE OR REPLACE FUNCTION rampkeeper_target.lock_login(p_login text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	INSERT INTO rampkeeper_target.login (login) VALUES (p_login) ON CONFLICT (login) DO NOTHING;
	PERFORM FROM rampkeeper_target.login l WHERE l.login = p_login FOR UPDATE;
END
$$;

-- Whose the login is: made by the broker, adopted, or foreign.
CREATE OR REPLACE FUNCTION rampkeeper_target.kind_of(p_login oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT CASE
		WHEN EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
			WHERE m.member = p_login AND r.rolname = 'rampkeeper_login') THEN 'made'
		WHEN EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
			WHERE m.member = p_login AND r.rolname = 'rampkeeper_adopted') THEN 'adopted'
		ELSE 'foreign' END
$$;

-- Whether there is a membership that the broker granted. Since 16 each
-- grantor's is a row of its own. Before, there is one row, of whoever granted
-- first: an administrator's is left alone, and theirs from after the broker's
-- leaves no trace.
CREATE OR REPLACE FUNCTION rampkeeper_target.is_ours(p_login oid, p_role oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT EXISTS (SELECT FROM pg_auth_members m WHERE m.member = p_login AND m.roleid = p_role
		AND m.grantor = (SELECT oid FROM pg_roles WHERE rolname = 'rampkeeper_grantor'))
$$;

-- Whether the login is a member for the broker: by the broker's own row or,
-- before 16, by the administrator's that keeps it from having one.
CREATE OR REPLACE FUNCTION rampkeeper_target.is_granted(p_login oid, p_role oid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT rampkeeper_target.is_ours(p_login, p_role) OR current_setting('server_version_num')::int < 160000
		AND EXISTS (SELECT FROM pg_auth_members m WHERE m.member = p_login AND m.roleid = p_role)
		AND EXISTS (SELECT FROM rampkeeper_target.held h WHERE h.login_oid = p_login AND h.role_oid = p_role)
$$;

-- The roles that the login holds from the broker, in any database.
CREATE OR REPLACE FUNCTION rampkeeper_target.held_by(p_login oid) RETURNS SETOF oid
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT m.roleid FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid
	WHERE m.member = p_login AND r.rolname NOT IN ('rampkeeper_login', 'rampkeeper_adopted')
		AND (m.grantor = (SELECT oid FROM pg_roles WHERE rolname = 'rampkeeper_grantor')
			OR EXISTS (SELECT FROM rampkeeper_target.held h WHERE h.login_oid = p_login AND h.role_oid = m.roleid AND NOT h.removing))
$$;

-- Who else can act as the login, other than by the owner's ADMIN OPTION.
CREATE OR REPLACE FUNCTION rampkeeper_target.members_of(p_login oid) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
	SELECT string_agg(DISTINCT quote_ident(r.rolname), ', ')
	FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
	WHERE m.roleid = p_login AND r.rolname <> 'rampkeeper_grantor'
		-- options that a membership has since 16; before, it has both
		AND coalesce((to_jsonb(m) ->> 'inherit_option')::boolean OR (to_jsonb(m) ->> 'set_option')::boolean, true)
$$;

-- Why the role must not be handed out; null when it may be.
CREATE OR REPLACE FUNCTION rampkeeper_target.why_not(p_role text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	role pg_roles%ROWTYPE;
	bad text;
BEGIN
	SELECT * INTO role FROM pg_roles WHERE rolname::text = p_role;
	IF NOT FOUND THEN
		RETURN 'there is no such role';
	ELSIF role.rolname ~ '^(pg|rampkeeper)_' AND role.rolname <> 'rampkeeper_canary' THEN
		RETURN 'it is reserved';
	END IF;
	WITH RECURSIVE reach AS (
		SELECT role.oid
		UNION
		SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid
	)
	SELECT CASE
			WHEN r.rolsuper THEN format('%I is a superuser', r.rolname)
			WHEN r.rolcreaterole THEN format('%I may create roles', r.rolname)
			WHEN r.rolcreatedb THEN format('%I may create databases', r.rolname)
			WHEN r.rolreplication THEN format('%I may replicate', r.rolname)
			WHEN r.rolbypassrls THEN format('%I bypasses row security', r.rolname)
			WHEN r.rolcanlogin THEN format('%I can log in: prepare a role that cannot', r.rolname)
			WHEN a.roleid IS NOT NULL THEN format('%I may itself hand out %I (ADMIN OPTION)', r.rolname, a.roleid::regrole)
			ELSE format('it leads to %I', r.rolname) END
		INTO bad
		FROM reach JOIN pg_roles r USING (oid)
		LEFT JOIN pg_auth_members a ON a.member = r.oid AND a.admin_option
		WHERE r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolcanlogin
			OR a.roleid IS NOT NULL
			OR r.rolname LIKE 'rampkeeper\_%' AND r.rolname <> 'rampkeeper_canary'
			OR r.rolname LIKE 'pg\_%' AND r.rolname NOT IN ('pg_read_all_data', 'pg_write_all_data', 'pg_monitor',
				'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_maintain')
		ORDER BY r.rolname LIMIT 1;
	IF bad IS NOT NULL THEN
		RETURN bad;
	END IF;
	IF NOT EXISTS (SELECT FROM pg_auth_members m JOIN pg_roles o ON o.oid = m.member
			WHERE m.roleid = role.oid AND o.rolname = 'rampkeeper_grantor' AND m.admin_option) THEN
		RETURN format('an administrator has not prepared it: GRANT %I TO rampkeeper_grantor WITH ADMIN OPTION', p_role);
	END IF;
	RETURN NULL;
END
$$;

-- ---------------------------------------------------------------------------
-- What the broker may call.

CREATE OR REPLACE FUNCTION rampkeeper_target.identity(
	OUT system_identifier text, OUT database text, OUT server_version int, OUT bundle int, OUT in_recovery boolean, OUT at timestamptz)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT c.system_identifier::text, current_database()::text, current_setting('server_version_num')::int, 1, pg_is_in_recovery(), clock_timestamp()
	FROM pg_control_system() c
$$;

-- The roles that an administrator prepared, and why one must not be used.
CREATE OR REPLACE FUNCTION rampkeeper_target.prepared() RETURNS TABLE (role text, why_not text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
	SELECT r.rolname::text, rampkeeper_target.why_not(r.rolname::text)
	FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.roleid JOIN pg_roles o ON o.oid = m.member
	WHERE o.rolname = 'rampkeeper_grantor' AND m.admin_option
		AND r.rolname NOT LIKE 'rampkeeper\_%' AND rampkeeper_target.kind_of(r.oid) <> 'made'
	GROUP BY r.rolname ORDER BY r.rolname
$$;

-- How one login stands with one role. Changes nothing. What it gives may be
-- another from version to version, which CREATE OR REPLACE refuses.
DROP FUNCTION IF EXISTS rampkeeper_target.status(text, text);
CREATE FUNCTION rampkeeper_target.status(p_login text, p_role text,
	OUT kind text, OUT can_login boolean, OUT valid_until timestamptz, OUT granted boolean, OUT removing boolean, OUT others int, OUT sessions int,
	OUT standing text) -- who else granted the same
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	held rampkeeper_target.held%ROWTYPE;
	v_login oid;
	v_role oid;
BEGIN
	SELECT * INTO held FROM rampkeeper_target.held h WHERE h.login = p_login AND h.role = p_role;
	v_login := coalesce(held.login_oid, (SELECT oid FROM pg_roles WHERE rolname::text = p_login));
	v_role := coalesce(held.role_oid, (SELECT oid FROM pg_roles WHERE rolname::text = p_role));
	others := 0; standing := '';
	granted := coalesce(rampkeeper_target.is_granted(v_login, v_role), false);
	removing := coalesce(held.removing, false);
	-- A session outlives its login, which an administrator may have dropped.
	SELECT count(*) INTO sessions FROM pg_stat_activity a WHERE a.usesysid = v_login;
	SELECT rampkeeper_target.kind_of(r.oid), r.rolcanlogin, CASE WHEN isfinite(r.rolvaliduntil) THEN r.rolvaliduntil END INTO kind, can_login, valid_until
		FROM pg_roles r WHERE r.oid = v_login;
	IF NOT FOUND THEN
		kind := 'none'; can_login := false;
		RETURN;
	END IF;
	SELECT count(*) INTO others FROM rampkeeper_target.held_by(v_login) AS h(role) WHERE h.role IS DISTINCT FROM v_role;
	SELECT coalesce(string_agg(m.grantor::regrole::text, ', ' ORDER BY m.grantor), '') INTO standing FROM pg_auth_members m
		WHERE m.member = v_login AND m.roleid = v_role AND m.grantor IS DISTINCT FROM (SELECT oid FROM pg_roles WHERE rolname = 'rampkeeper_grantor');
END
$$;

-- Makes the login a member of the role. With p_create the login is made and
-- turned on; without, it must be an adopted one.
CREATE OR REPLACE FUNCTION rampkeeper_target.ensure(p_login text, p_role text, p_until timestamptz, p_create boolean, p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
-- The login's own session can hold its row. Giving up soon lets a removal in.
SET lock_timeout = '3s'
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC' AS $$
DECLARE
	v16 constant boolean := current_setting('server_version_num')::int >= 160000;
	login pg_roles%ROWTYPE;
	kind text;
	why text;
	v_role oid;
BEGIN
	PERFORM rampkeeper_target.check_name(p_login), rampkeeper_target.check_name(p_role);
	IF p_until IS NULL OR NOT isfinite(p_until) OR p_create IS NULL THEN
		PERFORM rampkeeper_target.refuse('RKP01', 'an end is needed');
	END IF;
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	why := rampkeeper_target.why_not(p_role);
	IF why IS NOT NULL THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('role %I cannot be handed out: %s', p_role, why));
	END IF;
	SELECT oid INTO v_role FROM pg_roles WHERE rolname::text = p_role;

	SELECT * INTO login FROM pg_roles WHERE rolname::text = p_login;
	IF NOT FOUND THEN
		IF NOT p_create THEN
			PERFORM rampkeeper_target.refuse('RKP01', format('there is no login %I, and this connector makes none', p_login));
		END IF;
		IF v16 THEN -- the caller's setting must not make the owner a member of the login
			PERFORM set_config('createrole_self_grant', '', true);
		END IF;
		EXECUTE format('CREATE ROLE %I NOLOGIN INHERIT', p_login);
		EXECUTE format('GRANT rampkeeper_login TO %I', p_login);
		EXECUTE format('COMMENT ON ROLE %I IS %L', p_login, 'Made by Rampkeeper, which turns it on and off.');
		SELECT * INTO login FROM pg_roles WHERE rolname::text = p_login;
	END IF;

	kind := rampkeeper_target.kind_of(login.oid);
	IF kind = 'foreign' THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I was not made by Rampkeeper and not adopted; an administrator can adopt it: GRANT rampkeeper_adopted TO %I', p_login, p_login));
	ELSIF kind = 'adopted' AND p_create THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I is an adopted one, and this connector makes its own', p_login));
	ELSIF kind = 'made' AND NOT p_create THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I was made by Rampkeeper, and this connector uses adopted ones', p_login));
	ELSIF login.rolsuper OR login.rolcreaterole OR login.rolcreatedb OR login.rolreplication OR login.rolbypassrls THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I is a superuser or has another attribute beyond LOGIN', p_login));
	ELSIF kind = 'adopted' AND EXISTS (SELECT FROM pg_shdepend d
			WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = login.oid AND d.deptype = 'o') THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I owns objects: it looks like a service''s, whose sessions must not be ended', p_login));
	END IF;
	why := rampkeeper_target.members_of(login.oid);
	IF why IS NOT NULL THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('what login %I gets would reach others, who are members of it: %s', p_login, why));
	END IF;

	-- The book must not forget a login or role that was renamed, or dropped
	-- while sessions were inside: they may still have the access.
	IF EXISTS (SELECT FROM rampkeeper_target.held h WHERE h.login = p_login AND h.role = p_role AND (h.login_oid <> login.oid OR h.role_oid <> v_role)) THEN
		PERFORM rampkeeper_target.refuse('RKR01', format('somebody replaced login %I or role %I while it was granted; that grant must be removed first', p_login, p_role));
	END IF;

	INSERT INTO rampkeeper_target.held AS h (login, role, login_oid, role_oid, until, granted_at)
		VALUES (p_login, p_role, login.oid, v_role, p_until, clock_timestamp())
		ON CONFLICT ON CONSTRAINT held_pkey DO UPDATE
		SET login_oid = excluded.login_oid, role_oid = excluded.role_oid, until = excluded.until, removing = false, cut_before = NULL;
	IF kind = 'made' THEN
		EXECUTE format('ALTER ROLE %I LOGIN CONNECTION LIMIT %s VALID UNTIL %L', p_login,
			(SELECT CASE WHEN r.rolconnlimit < 0 THEN 10 ELSE r.rolconnlimit END FROM pg_roles r WHERE r.rolname = 'rampkeeper_login'),
			(SELECT max(h.until) FROM rampkeeper_target.held h WHERE h.login_oid = login.oid AND NOT h.removing));
		IF NOT login.rolcanlogin THEN -- an old password must not come back to life
			EXECUTE format('ALTER ROLE %I PASSWORD NULL', p_login);
		END IF;
	END IF;
	IF v16 THEN
		EXECUTE format('GRANT %I TO %I WITH ADMIN FALSE, INHERIT TRUE, SET TRUE', p_role, p_login);
	ELSIF NOT rampkeeper_target.is_granted(login.oid, v_role) THEN
		EXECUTE format('GRANT %I TO %I', p_role, p_login);
	END IF;
	PERFORM rampkeeper_target.check_time(p_deadline);
END
$$;

-- Takes the role from the login. Sessions that are inside it keep it until
-- cut() ends them: call that next, again and again.
CREATE OR REPLACE FUNCTION rampkeeper_target.remove(p_login text, p_role text, p_deadline timestamptz, OUT was_present boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	held rampkeeper_target.held%ROWTYPE;
	v_login oid;
	v_role oid;
BEGIN
	PERFORM rampkeeper_target.check_name(p_login), rampkeeper_target.check_name(p_role);
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	SELECT * INTO held FROM rampkeeper_target.held h WHERE h.login = p_login AND h.role = p_role;
	v_login := coalesce(held.login_oid, (SELECT oid FROM pg_roles WHERE rolname::text = p_login));
	v_role := coalesce(held.role_oid, (SELECT oid FROM pg_roles WHERE rolname::text = p_role));
	was_present := coalesce(rampkeeper_target.is_granted(v_login, v_role), false);
	IF rampkeeper_target.is_ours(v_login, v_role) THEN
		EXECUTE format('REVOKE %I FROM %I', (SELECT rolname FROM pg_roles WHERE oid = v_role), (SELECT rolname FROM pg_roles WHERE oid = v_login));
	END IF;
	IF held.login IS NOT NULL OR was_present THEN
		INSERT INTO rampkeeper_target.held AS h (login, role, login_oid, role_oid, until, granted_at, removing)
			VALUES (p_login, p_role, v_login, v_role, clock_timestamp(), clock_timestamp(), true)
			ON CONFLICT ON CONSTRAINT held_pkey DO UPDATE
			SET removing = true, cut_before = CASE WHEN was_present THEN NULL ELSE h.cut_before END;
	END IF;
	PERFORM rampkeeper_target.check_time(p_deadline);
END
$$;

-- Ends the login's sessions that began before the role was taken from it, and
-- turns a login off that holds nothing any more. Gives the sessions it met;
-- none left means that the removal is done.
CREATE OR REPLACE FUNCTION rampkeeper_target.cut(p_login text, p_role text, p_deadline timestamptz,
	OUT pids int[], OUT done boolean)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET datestyle = 'ISO' SET timezone = 'UTC' AS $$
DECLARE
	held rampkeeper_target.held%ROWTYPE;
	login pg_roles%ROWTYPE;
	v_login oid;
	kind text;
	turn_off boolean;
	latest timestamptz;
BEGIN
	PERFORM rampkeeper_target.check_name(p_login), rampkeeper_target.check_name(p_role);
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	pids := '{}'; done := true;
	SELECT * INTO held FROM rampkeeper_target.held h WHERE h.login = p_login AND h.role = p_role;
	v_login := coalesce(held.login_oid, (SELECT oid FROM pg_roles WHERE rolname::text = p_login));
	IF v_login IS NULL THEN
		RETURN;
	END IF;
	IF held.login IS NOT NULL AND NOT held.removing THEN
		PERFORM rampkeeper_target.refuse('RKR01', format('login %I was given role %I again', p_login, p_role));
	END IF;
	-- An administrator may have dropped the login; its sessions live on, and
	-- the book knows it as one that was made or adopted.
	SELECT * INTO login FROM pg_roles WHERE oid = v_login;
	kind := CASE WHEN FOUND THEN rampkeeper_target.kind_of(v_login) ELSE 'dropped' END;
	turn_off := kind = 'made' AND NOT EXISTS (SELECT FROM rampkeeper_target.held_by(v_login));
	IF held.login IS NOT NULL AND held.cut_before IS NULL THEN
		held.cut_before := clock_timestamp(); -- remove() has committed: who comes later gets nothing
		UPDATE rampkeeper_target.held h SET cut_before = held.cut_before WHERE h.login = p_login AND h.role = p_role;
	END IF;

	SELECT coalesce(array_agg(a.pid), '{}') INTO pids FROM pg_stat_activity a
		WHERE a.usesysid = v_login AND (a.backend_start <= held.cut_before OR turn_off);
	IF kind = 'foreign' AND cardinality(pids) > 0 THEN
		PERFORM rampkeeper_target.refuse('RKR01', format('login %I has lost its mark, so its %s sessions cannot be ended; give it back: GRANT rampkeeper_login (or rampkeeper_adopted) TO %I', p_login, cardinality(pids), p_login));
	END IF;
	PERFORM pg_terminate_backend(pid) FROM unnest(pids) AS p(pid);
	-- After the sessions: one of them may hold the login's row (ALTER ROLE …
	-- PASSWORD in an open transaction), and dies while this waits for it.
	IF turn_off AND (login.rolcanlogin OR login.rolvaliduntil IS DISTINCT FROM '-infinity') THEN
		PERFORM set_config('lock_timeout', '2s', true);
		EXECUTE format('ALTER ROLE %I NOLOGIN PASSWORD NULL VALID UNTIL ''-infinity''', login.rolname);
		done := false; -- someone may have slipped in until this commits: look again
	ELSIF kind = 'made' AND NOT turn_off AND held.login IS NOT NULL THEN
		-- Other roles stay: their end is the login's. Not worth failing for: a
		-- session that may live on can hold the row for as long as it likes.
		SELECT max(h.until) INTO latest FROM rampkeeper_target.held h WHERE h.login_oid = v_login AND NOT h.removing;
		IF latest < login.rolvaliduntil THEN
			BEGIN
				PERFORM set_config('lock_timeout', '200ms', true);
				EXECUTE format('ALTER ROLE %I VALID UNTIL %L', login.rolname, latest);
			EXCEPTION WHEN lock_not_available OR internal_error THEN
				NULL;
			END;
		END IF;
	END IF;
	done := done AND cardinality(pids) = 0;
END
$$;

-- Closes the books on a removal whose sessions are gone.
CREATE OR REPLACE FUNCTION rampkeeper_target.settle(p_login text, p_role text, p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	PERFORM rampkeeper_target.check_name(p_login), rampkeeper_target.check_name(p_role);
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	DELETE FROM rampkeeper_target.held h WHERE h.login = p_login AND h.role = p_role AND h.removing AND h.cut_before IS NOT NULL
		AND NOT rampkeeper_target.is_ours(h.login_oid, h.role_oid);
END
$$;

-- Sets a password, given as its SCRAM verifier: the password itself never
-- comes here, so it cannot reach a log.
CREATE OR REPLACE FUNCTION rampkeeper_target.set_password(p_login text, p_verifier text, p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET lock_timeout = '3s' SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	login pg_roles%ROWTYPE;
BEGIN
	PERFORM rampkeeper_target.check_name(p_login);
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	IF p_verifier IS NULL OR p_verifier !~ '^SCRAM-SHA-256\$[0-9]+:[A-Za-z0-9+/]{16,}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$' THEN
		PERFORM rampkeeper_target.refuse('RKP01', 'a SCRAM-SHA-256 verifier is needed');
	END IF;
	SELECT * INTO login FROM pg_roles WHERE rolname::text = p_login;
	IF login.oid IS NULL OR rampkeeper_target.kind_of(login.oid) <> 'made' THEN
		PERFORM rampkeeper_target.refuse('RKP01', format('login %I was not made by Rampkeeper', p_login));
	ELSIF NOT login.rolcanlogin OR NOT EXISTS (SELECT FROM rampkeeper_target.held_by(login.oid)) THEN
		PERFORM rampkeeper_target.refuse('RKR01', format('login %I holds nothing now', p_login));
	END IF;
	EXECUTE format('ALTER ROLE %I PASSWORD %L', p_login, p_verifier);
	PERFORM rampkeeper_target.check_time(p_deadline);
END
$$;

-- Drops a login that the broker made and that holds nothing. PostgreSQL
-- itself refuses while the login owns objects or has rights of its own.
CREATE OR REPLACE FUNCTION rampkeeper_target.drop_login(p_login text, p_deadline timestamptz) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	login pg_roles%ROWTYPE;
BEGIN
	PERFORM rampkeeper_target.check_name(p_login);
	PERFORM rampkeeper_target.lock_login(p_login), rampkeeper_target.check_time(p_deadline);
	SELECT * INTO login FROM pg_roles WHERE rolname::text = p_login;
	IF FOUND THEN
		IF rampkeeper_target.kind_of(login.oid) <> 'made' OR login.rolcanlogin
				OR EXISTS (SELECT FROM rampkeeper_target.held_by(login.oid)) OR EXISTS (SELECT FROM rampkeeper_target.held h WHERE h.login_oid = login.oid) THEN
			PERFORM rampkeeper_target.refuse('RKR01', format('login %I is in use, or was not made by Rampkeeper', p_login));
		END IF;
		EXECUTE format('DROP ROLE %I', p_login);
	END IF;
	DELETE FROM rampkeeper_target.login l WHERE l.login = p_login;
END
$$;

-- What the login keeps of the role's access by other ways: findings for the
-- auditor. It looks at this database's tables and at the server's roles.
CREATE OR REPLACE FUNCTION rampkeeper_target.remains(p_login text, p_role text) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	v_login oid := (SELECT oid FROM pg_roles WHERE rolname::text = p_login);
	v_role oid := (SELECT oid FROM pg_roles WHERE rolname::text = p_role);
	stray oid[]; -- the login and all it reaches without the broker
	wanted oid[]; -- the role and all it reaches
BEGIN
	WITH RECURSIVE reach AS (
		SELECT v_login AS oid
		UNION
		SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid
		WHERE m.member <> v_login OR NOT EXISTS (SELECT FROM rampkeeper_target.held_by(v_login) AS h(role) WHERE h.role = m.roleid)
			OR m.grantor <> (SELECT oid FROM pg_roles WHERE rolname = 'rampkeeper_grantor')
	)
	SELECT array_agg(oid) INTO stray FROM reach WHERE oid IS NOT NULL;
	WITH RECURSIVE reach AS (
		SELECT v_role AS oid
		UNION
		SELECT m.roleid FROM pg_auth_members m JOIN reach ON m.member = reach.oid
	)
	SELECT array_agg(oid) INTO wanted FROM reach WHERE oid IS NOT NULL;

	IF v_role = ANY (stray) THEN
		RETURN QUERY SELECT format('effective_access_remains: %I is a member of %I by another way (%s)', p_login, p_role,
			(SELECT string_agg(DISTINCT format('%s in %s granted by %s', m.member::regrole, m.roleid::regrole, m.grantor::regrole), '; ')
				FROM pg_auth_members m WHERE m.member = ANY (stray) AND m.roleid = ANY (stray) AND m.roleid = v_role));
	ELSE
		RETURN QUERY
		WITH acl AS (
			SELECT format('%I.%I', n.nspname, c.relname) AS name, a.grantee, a.privilege_type
			FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
				aclexplode(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner))) a
			WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
				AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
				AND has_schema_privilege(coalesce(v_login, 0), n.oid, 'USAGE')
			UNION ALL
			SELECT format('%I.%I (%I)', n.nspname, c.relname, t.attname), a.grantee, a.privilege_type
			FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace, aclexplode(t.attacl) a
			WHERE t.attacl IS NOT NULL AND n.nspname NOT LIKE 'pg\_%' AND n.nspname <> 'information_schema'
				AND has_schema_privilege(coalesce(v_login, 0), n.oid, 'USAGE')
		), found AS (
			SELECT k.name, string_agg(DISTINCT k.privilege_type, ', ') AS what,
				string_agg(DISTINCT CASE k.grantee WHEN 0 THEN 'PUBLIC' WHEN v_login THEN 'a grant to the login itself' ELSE format('role %s', k.grantee::regrole) END, ', ') AS way
			FROM acl k
			WHERE v_login IS NOT NULL AND (k.grantee = 0 OR k.grantee = ANY (stray))
				AND EXISTS (SELECT FROM acl w WHERE w.name = k.name AND w.privilege_type = k.privilege_type AND w.grantee = ANY (wanted))
			GROUP BY k.name
		)
		(SELECT format('effective_access_remains: %I still has %s on %s by %s', p_login, f.what, f.name, f.way) FROM found f ORDER BY f.name LIMIT 10)
		UNION ALL
		SELECT format('effective_access_remains: and on %s more tables', count(*) - 10) FROM found HAVING count(*) > 10;
	END IF;

	RETURN QUERY SELECT format('shared_login: others can act as %I, and their sessions are not ended: %s', p_login, x.others)
		FROM rampkeeper_target.members_of(v_login) AS x(others) WHERE x.others IS NOT NULL;
	RETURN QUERY SELECT format('owns_objects: %I owns %s objects in database %s%s', p_login, count(*), coalesce(quote_ident(max(d.datname)), '(shared)'),
			CASE WHEN max(d.datname) = current_database()
				THEN ': ' || (array_agg(pg_describe_object(s.classid, s.objid, s.objsubid)))[1] || CASE WHEN count(*) > 1 THEN ' and others' ELSE '' END ELSE '' END)
		FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = v_login AND s.deptype = 'o' GROUP BY s.dbid;
	RETURN QUERY SELECT format('own_rights: %I has rights of its own on %s objects in database %s', p_login, count(*), coalesce(quote_ident(max(d.datname)), '(shared)'))
		FROM pg_shdepend s LEFT JOIN pg_database d ON d.oid = s.dbid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = v_login AND s.deptype = 'a' AND s.classid <> 'pg_auth_members'::regclass GROUP BY s.dbid;
	RETURN QUERY SELECT format('prepared_transactions: %I left %s prepared transactions in database %I', p_login, count(*), x.database)
		FROM pg_prepared_xacts x WHERE x.owner::text = p_login GROUP BY x.database;
END
$$;

-- ---------------------------------------------------------------------------
-- Who owns the functions, and who may call them.

GRANT CREATE ON SCHEMA rampkeeper_target TO rampkeeper_grantor;
DO $rights$
DECLARE
	f record;
BEGIN
	FOR f IN SELECT p.oid::regprocedure AS name, p.prosecdef FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'rampkeeper_target' LOOP
		EXECUTE format('ALTER FUNCTION %s OWNER TO rampkeeper_grantor', f.name);
		EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC, rampkeeper_broker', f.name);
		IF f.prosecdef THEN
			EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO rampkeeper_broker', f.name);
		END IF;
	END LOOP;
END
$rights$;
REVOKE CREATE ON SCHEMA rampkeeper_target FROM rampkeeper_grantor;

COMMIT;
