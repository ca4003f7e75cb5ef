begin;

do $$
begin
  if (select count(*) from pg_catalog.pg_roles
      where rolname in ('rampkeeper_owner', 'rampkeeper_audit_owner', 'rampkeeper_app',
                        'rampkeeper_sealer', 'rampkeeper_auditor', 'rampkeeper_migrator')) <> 6 then
    raise exception 'the roles of Rampkeeper are missing in this cluster: run deploy/postgres/roles.sql first';
  end if;
end
$$;

create schema core authorization rampkeeper_owner;
create schema audit authorization rampkeeper_audit_owner;
comment on schema core is 'state: what was asked, decided and granted';
comment on schema audit is 'evidence: append-only; its owner has no login';

set local role rampkeeper_audit_owner;

grant usage on schema audit to rampkeeper_owner, rampkeeper_app, rampkeeper_sealer, rampkeeper_auditor;

set local role rampkeeper_owner;

grant usage on schema core to rampkeeper_app, rampkeeper_auditor;

-- The spelling of ids outside the database; see internal/access/id.go. The
-- triggers need it because audit streams are named by it.
create function core.typeid(prefix text, id uuid) returns text
  language plpgsql immutable strict parallel safe
  set search_path = pg_catalog, pg_temp
as $$
declare
  bits bit varying := B'00' || ('x' || replace(id::text, '-', ''))::bit(128);
  suffix text := '';
begin
  for i in 0..25 loop
    suffix := suffix || substr('0123456789abcdefghjkmnpqrstvwxyz', substring(bits from i * 5 + 1 for 5)::bit(5)::int + 1, 1);
  end loop;
  return prefix || '_' || suffix;
end
$$;
comment on function core.typeid is 'spells an id as the API does, such as req_01m843dj1xftgsy5stz96vwa7j';

create function core.refuse_change() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception '% on %.% is refused: this table is evidence', lower(tg_op), tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end
$$;
comment on function core.refuse_change is 'trigger: keeps evidence from being changed or deleted';

create table core.install (
  singleton boolean not null default true,
  id uuid not null,
  cursor_key bytea not null,
  created_at timestamptz not null,
  constraint install_pk primary key (singleton),
  constraint install_singleton_ck check (singleton),
  constraint install_cursor_key_ck check (length(cursor_key) = 32)
);
comment on table core.install is 'this installation: one row';
comment on column core.install.cursor_key is 'key that list cursors are authenticated with; it protects no data';

insert into core.install (id, cursor_key, created_at)
values (
  gen_random_uuid(),
  decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex'),
  now()
);

grant select on core.install to rampkeeper_app;

commit;
