begin;

set local role rampkeeper_owner;

create table core.principal (
  id text not null,
  name text not null default '',
  email text not null default '',
  username text not null default '',
  groups text[] not null default '{}',
  groups_known boolean not null,
  claims_at timestamptz not null,
  first_seen timestamptz not null,
  last_seen timestamptz not null,
  constraint principal_pk primary key (id),
  constraint principal_id_ck check (id ~ '^[^|]+\|.' and length(id) <= 2048),
  constraint principal_groups_ck check (array_position(groups, null) is null and (groups_known or groups = '{}'))
);
comment on table core.principal is 'people and machines that were seen; what their last verified token said of them';
comment on column core.principal.id is 'issuer, "|", subject; never e-mail';
comment on column core.principal.groups is 'replaced as a whole at each sign-in, sorted';
comment on column core.principal.claims_at is 'when the token was issued that said so; an older token changes nothing';
comment on column core.principal.groups_known is 'false when the token carried no usable groups: then nobody can tell what it belongs to';
create index principal_groups_ix on core.principal using gin (groups);

create function core.require_groups_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not audit.recorded('principal:' || new.id, null) then
    raise exception 'the groups of % have no audit event in the transaction that set them', new.id
      using errcode = 'integrity_constraint_violation', constraint = 'state_has_event';
  end if;
  return null;
end
$$;
comment on function core.require_groups_event is 'deferred trigger: groups make people eligible and fill seats, so they do not change without an audit event in the same transaction';
revoke execute on function core.require_groups_event() from public;
create constraint trigger principal_has_event after insert on core.principal
  deferrable initially deferred for each row when (new.groups_known)
  execute function core.require_groups_event();
create constraint trigger principal_groups_have_event after update on core.principal
  deferrable initially deferred for each row when (new.groups <> old.groups or new.groups_known <> old.groups_known)
  execute function core.require_groups_event();
alter table core.principal enable always trigger principal_has_event;
alter table core.principal enable always trigger principal_groups_have_event;
create trigger principal_refuse_delete before delete on core.principal
  for each row execute function core.refuse_change();
create trigger principal_refuse_truncate before truncate on core.principal
  for each statement execute function core.refuse_change();
alter table core.principal enable always trigger principal_refuse_delete;
alter table core.principal enable always trigger principal_refuse_truncate;

create table core.session (
  id uuid not null,
  token_hash bytea not null,
  principal text not null,
  auth_time timestamptz,
  created_at timestamptz not null,
  last_seen_at timestamptz not null,
  expires_at timestamptz not null,
  client_addr text not null default '',
  user_agent text not null default '',
  constraint session_pk primary key (id),
  constraint session_token_hash_uq unique (token_hash),
  constraint session_token_hash_ck check (length(token_hash) = 32),
  constraint session_principal_fk foreign key (principal) references core.principal (id),
  constraint session_expires_at_ck check (isfinite(expires_at) and expires_at > created_at)
);
comment on table core.session is 'browser sessions; not evidence (signing in and out is in the audit log)';
comment on column core.session.auth_time is 'when the identity provider says that the person signed in, if it does';
comment on column core.session.token_hash is 'SHA-256 of the cookie''s value, which is kept nowhere';
create index session_principal_ix on core.session (principal, created_at);
create index session_expires_at_ix on core.session (expires_at);

create table core.login (
  state_hash bytea not null,
  nonce text not null,
  verifier text not null,
  return_to text not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  constraint login_pk primary key (state_hash),
  constraint login_state_hash_ck check (length(state_hash) = 32),
  constraint login_expires_at_ck check (isfinite(expires_at) and expires_at > created_at)
);
comment on table core.login is 'sign-ins that were begun and have not come back from the identity provider; short-lived';
create index login_expires_at_ix on core.login (expires_at);
create index login_created_at_ix on core.login (created_at);

create table core.idempotency (
  principal text not null,
  key text not null,
  body_hash text not null,
  object uuid,
  created_at timestamptz not null,
  constraint idempotency_pk primary key (principal, key),
  constraint idempotency_principal_fk foreign key (principal) references core.principal (id),
  constraint idempotency_key_ck check (key <> '' and length(key) <= 255)
);
comment on table core.idempotency is 'Idempotency-Key values of the last day, written in the transaction of their effect';
comment on column core.idempotency.object is 'what the first call made; a repetition shows it again';
create index idempotency_created_at_ix on core.idempotency (created_at);

grant select, insert on core.principal, core.session, core.login, core.idempotency to rampkeeper_app;
grant update (name, email, username, groups, groups_known, claims_at, last_seen) on core.principal to rampkeeper_app;
grant update (last_seen_at) on core.session to rampkeeper_app;
grant update (body_hash, object, created_at) on core.idempotency to rampkeeper_app;
grant delete on core.session, core.login, core.idempotency to rampkeeper_app;
grant select on core.principal to rampkeeper_auditor;

commit;
