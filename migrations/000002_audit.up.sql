begin;

set local role rampkeeper_audit_owner;

create table audit.event (
  id uuid not null default gen_random_uuid(),
  seq bigint generated always as identity,
  stream text not null,
  version bigint not null,
  prev_hash bytea not null,
  leaf_hash bytea not null,
  xid xid8 not null,
  recorded_at timestamptz not null,
  db_user name not null,
  event_type text not null,
  actor text not null,
  entry bytea not null,
  constraint event_pk primary key (id),
  constraint event_seq_uq unique (seq),
  constraint event_stream_version_uq unique (stream, version),
  constraint event_version_ck check (version > 0),
  constraint event_stream_ck check (stream <> '' and length(stream) <= 2200),
  constraint event_type_ck check (event_type ~ '^[a-z_]+\.[a-z_]+$'),
  constraint event_actor_ck check (actor <> ''),
  constraint event_prev_hash_ck check (length(prev_hash) = case when version = 1 then 0 else 32 end),
  constraint event_leaf_hash_ck check (leaf_hash = sha256('\x00'::bytea || entry))
);
comment on table audit.event is 'the audit log: one hash chain for each stream; entry is what is hashed, the columns beside it are a convenience that verification compares with it';
comment on column audit.event.seq is 'a name, not an order: numbers are given out before commit and commit in any order';
comment on column audit.event.version is 'of the object after the change; consecutive in the stream, from 1';
comment on column audit.event.prev_hash is 'leaf_hash of the stream''s previous event; empty for the first';
comment on column audit.event.leaf_hash is 'SHA-256 of a zero byte and entry, as in RFC 6962';
comment on column audit.event.xid is 'the transaction, the same one that made the change';
comment on column audit.event.recorded_at is 'by the database''s clock';
comment on column audit.event.db_user is 'the login that wrote it';
comment on column audit.event.entry is 'the exact bytes, JSON in UTF-8';

create index event_tail_ix on audit.event (xid, seq);
create index event_recorded_at_ix on audit.event (recorded_at);
create index event_actor_ix on audit.event (actor, seq);
create index event_type_ix on audit.event (event_type, seq);

create function audit.refuse_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '% on %.% is refused: this table is evidence', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;
comment on function audit.refuse_change is 'trigger: keeps evidence from being changed or deleted';

create trigger event_refuse_change before update or delete on audit.event
  for each row execute function audit.refuse_change();
create trigger event_refuse_truncate before truncate on audit.event
  for each statement execute function audit.refuse_change();
alter table audit.event enable always trigger event_refuse_change;
alter table audit.event enable always trigger event_refuse_truncate;

-- append is the only way in. The database sets the time, the transaction and
-- the login, so the caller cannot date an event back. A null version takes the
-- stream's next one, for streams that have no versioned row to lock.
create function audit.append(p_stream text, p_version bigint, p_at timestamptz, p_type text, p_actor text, p_data text)
  returns bigint
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  last_version bigint;
  last_hash bytea;
  new_version bigint := p_version;
  recorded timestamptz := clock_timestamp();
  bytes bytea;
begin
  if p_stream is null or p_at is null or p_type is null or p_actor is null or p_data is null then
    raise exception 'an audit event needs its stream, time, type, actor and data' using errcode = 'null_value_not_allowed';
  end if;
  -- Casting to jsonb refuses what is no JSON, and \u0000, which no text of
  -- ours may hold; comparing the counts refuses a member given twice.
  if jsonb_typeof(p_data::jsonb) <> 'object'
     or (select count(*) from json_object_keys(p_data::json)) <> (select count(*) from jsonb_object_keys(p_data::jsonb)) then
    raise exception 'the data of an audit event is a JSON object with distinct members' using errcode = 'invalid_parameter_value';
  end if;
  if p_version is null then
    perform pg_advisory_xact_lock(hashtextextended(p_stream, 0));
  end if;
  select e.version, e.leaf_hash into last_version, last_hash
  from audit.event e where e.stream = p_stream order by e.version desc limit 1;
  if p_version is null then
    new_version := coalesce(last_version, 0) + 1;
  elsif p_version <> coalesce(last_version, 0) + 1 then
    raise exception 'event % of % does not follow event %', p_version, p_stream, coalesce(last_version, 0)
      using errcode = 'integrity_constraint_violation', constraint = 'event_version_follows';
  end if;
  bytes := convert_to(
    '{"stream":' || to_json(p_stream)::text
    || ',"version":' || new_version::text
    || ',"prev_hash":"' || encode(coalesce(last_hash, ''::bytea), 'hex')
    || '","at":"' || to_char(p_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","recorded_at":"' || to_char(recorded at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
    || '","xid":' || pg_current_xact_id()::text
    || ',"db_user":' || to_json(session_user::text)::text
    || ',"type":' || to_json(p_type)::text
    || ',"actor":' || to_json(p_actor)::text
    || ',"data":' || p_data || '}', 'UTF8');
  insert into audit.event (stream, version, prev_hash, leaf_hash, xid, recorded_at, db_user, event_type, actor, entry)
  values (p_stream, new_version, coalesce(last_hash, ''::bytea), sha256('\x00'::bytea || bytes), pg_current_xact_id(), recorded, session_user, p_type, p_actor, bytes);
  -- A hint for those who listen; polling is what they rely on. A payload has
  -- less than 8000 bytes, which the length of a stream's name sees to.
  perform pg_notify('rampkeeper', p_stream);
  return new_version;
end
$$;
comment on function audit.append is 'appends one event to its stream and gives its version; the only way to write to the log';

create function audit.recorded(p_stream text, p_version bigint) returns boolean
  language sql stable security definer
  set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select from audit.event e
    where e.stream = p_stream
      and (p_version is null or e.version = p_version)
      and e.xid = pg_current_xact_id_if_assigned()
  )
$$;
comment on function audit.recorded is 'says whether this transaction appended the event (any event of the stream, for a null version)';

revoke execute on function audit.append(text, bigint, timestamptz, text, text, text) from public;
revoke execute on function audit.recorded(text, bigint) from public;
revoke execute on function audit.refuse_change() from public;
grant execute on function audit.append(text, bigint, timestamptz, text, text, text) to rampkeeper_app;
grant execute on function audit.recorded(text, bigint) to rampkeeper_owner;
grant select on audit.event to rampkeeper_app, rampkeeper_sealer, rampkeeper_auditor;

set local role rampkeeper_owner;

-- require_event and require_event_of run at COMMIT (they are used by deferred
-- constraint triggers). require_event is for objects: their stream must hold an
-- event with their new version that this transaction wrote.
create function core.require_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not audit.recorded(new.stream, new.version) then
    raise exception 'version % of % has no audit event in the transaction that made it', new.version, new.stream
      using errcode = 'integrity_constraint_violation', constraint = 'state_has_event';
  end if;
  return null;
end
$$;
comment on function core.require_event is 'deferred trigger: no state change without its audit event in the same transaction';

-- require_event_of is for rows that belong to an object. Arguments: the
-- stream's prefix, the id's prefix, the column with the id and, where the row
-- is written with the object and never later, the event's version.
create function core.require_event_of() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  stream text := tg_argv[0] || core.typeid(tg_argv[1], (to_jsonb(new) ->> tg_argv[2])::uuid);
begin
  if not audit.recorded(stream, tg_argv[3]::bigint) then
    raise exception 'a row of % for % has no audit event in the transaction that wrote it', tg_table_name, stream
      using errcode = 'integrity_constraint_violation', constraint = 'state_has_event';
  end if;
  return null;
end
$$;
comment on function core.require_event_of is 'deferred trigger: what belongs to an object is not written without an audit event of the object in the same transaction';

-- require_state is the reverse, also at COMMIT: an event that no state stands
-- behind would say what did not happen, and take the number of the object's
-- next step.
create function core.require_state() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  reached bigint;
begin
  case split_part(new.stream, ':', 1)
    when 'request' then select r.version into reached from core.request r where r.stream = new.stream;
    when 'grant' then select g.version into reached from core.grant g where g.stream = new.stream;
    when 'entitlement' then select e.version into reached from core.entitlement e where e.stream = new.stream;
    when 'policy' then select p.revision into reached from core.policy p where new.stream = 'policy';
    else return null;
  end case;
  if reached is null or reached < new.version then
    raise exception 'event % of % says what did not happen', new.version, new.stream
      using errcode = 'integrity_constraint_violation', constraint = 'event_has_state';
  end if;
  return null;
end
$$;
comment on function core.require_state is 'deferred trigger: no audit event of an object without the object''s version';

revoke execute on function core.require_event() from public;
revoke execute on function core.require_event_of() from public;
revoke execute on function core.require_state() from public;
revoke execute on function core.refuse_change() from public;
grant usage on schema core to rampkeeper_audit_owner;
grant execute on function core.require_state() to rampkeeper_audit_owner;

set local role rampkeeper_audit_owner;

create constraint trigger event_has_state after insert on audit.event
  deferrable initially deferred for each row execute function core.require_state();
alter table audit.event enable always trigger event_has_state;

commit;
