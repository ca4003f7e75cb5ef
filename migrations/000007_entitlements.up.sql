begin;

set local role rampkeeper_owner;

create table core.account (
  connector text not null,
  account text not null,
  principal text not null,
  constraint account_pk primary key (connector, account),
  constraint account_principal_fk foreign key (principal) references core.principal (id)
);
comment on table core.account is 'whose account on a target it is: one account never serves two people';
create index account_principal_ix on core.account (principal);
create trigger account_refuse_change before update or delete on core.account
  for each row execute function core.refuse_change();
create trigger account_refuse_truncate before truncate on core.account
  for each statement execute function core.refuse_change();
alter table core.account enable always trigger account_refuse_change;
alter table core.account enable always trigger account_refuse_truncate;

create table core.entitlement (
  id uuid not null,
  stream text not null generated always as ('entitlement:' || core.typeid('ent', id)) stored,
  connector text not null,
  account text not null,
  permission text not null,
  presence text not null,
  until timestamptz,
  fence bigint not null default 0,
  lease_until timestamptz,
  next_at timestamptz,
  failures integer not null default 0,
  last_error text not null default '',
  version bigint not null default 0,
  created_at timestamptz not null,
  constraint entitlement_pk primary key (id),
  constraint entitlement_stream_uq unique (stream),
  constraint entitlement_key_uq unique (connector, account, permission),
  constraint entitlement_account_fk foreign key (connector, account) references core.account (connector, account),
  constraint entitlement_presence_ck check (presence in ('unknown', 'present', 'absent')),
  constraint entitlement_fence_ck check (fence >= 0),
  constraint entitlement_failures_ck check (failures >= 0),
  constraint entitlement_version_ck check (version >= 0),
  constraint entitlement_times_ck check (coalesce(isfinite(until), true) and coalesce(isfinite(lease_until), true)
    and coalesce(isfinite(next_at), true))
);
comment on table core.entitlement is 'one effect on one target; several grants may need the same one';
comment on column core.entitlement.stream is 'in the audit log';
comment on column core.entitlement.presence is 'what was last verified: present, absent, or unknown after an uncertain call';
comment on column core.entitlement.until is 'the end that was last written to the target, where it has one';
comment on column core.entitlement.fence is 'raised by every claim; the result of an older claim is not believed';
comment on column core.entitlement.lease_until is 'a worker holds it until then';
comment on column core.entitlement.next_at is 'due at; null when nothing is to be done';
comment on column core.entitlement.failures is 'in a row; sets the backoff';
comment on column core.entitlement.version is 'of its audit stream: 0 until its first event, and raised with every change of presence';
create index entitlement_next_at_ix on core.entitlement (next_at) where next_at is not null;
create index entitlement_due_ix on core.entitlement (connector, next_at) where next_at is not null;

create function core.step_entitlement() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    if new.version <> 0 or new.fence <> 0 or new.presence = 'present' then
      raise exception 'a new entitlement has version 0, fence 0 and is not known to be present'
        using errcode = 'integrity_constraint_violation', constraint = 'entitlement_version_follows';
    end if;
    return new;
  end if;
  if new.version not in (old.version, old.version + 1)
     or (new.version = old.version and new.presence <> old.presence) then
    raise exception 'version % of entitlement % does not follow %', new.version, old.id, old.version
      using errcode = 'integrity_constraint_violation', constraint = 'entitlement_version_follows';
  end if;
  if new.fence not in (old.fence, old.fence + 1) then
    raise exception 'the fence of entitlement % rises by one', old.id
      using errcode = 'integrity_constraint_violation', constraint = 'entitlement_fence_follows';
  end if;
  return new;
end
$$;
comment on function core.step_entitlement is 'trigger: versions and fences rise by one, and presence changes only with a version';
create trigger entitlement_step before insert or update on core.entitlement
  for each row execute function core.step_entitlement();
create constraint trigger entitlement_has_event after update on core.entitlement
  deferrable initially deferred for each row when (new.version <> old.version)
  execute function core.require_event();
create trigger entitlement_refuse_delete before delete on core.entitlement
  for each row execute function core.refuse_change();
create trigger entitlement_refuse_truncate before truncate on core.entitlement
  for each statement execute function core.refuse_change();
alter table core.entitlement enable always trigger entitlement_step;
alter table core.entitlement enable always trigger entitlement_has_event;
alter table core.entitlement enable always trigger entitlement_refuse_delete;
alter table core.entitlement enable always trigger entitlement_refuse_truncate;

create table core.grant_entitlement (
  grant_id uuid not null,
  entitlement_id uuid not null,
  constraint grant_entitlement_pk primary key (grant_id, entitlement_id),
  constraint grant_entitlement_grant_fk foreign key (grant_id) references core.grant (id),
  constraint grant_entitlement_entitlement_fk foreign key (entitlement_id) references core.entitlement (id)
);
comment on table core.grant_entitlement is 'which entitlements a grant needs; written with the grant';
create index grant_entitlement_entitlement_ix on core.grant_entitlement (entitlement_id, grant_id);
create constraint trigger grant_entitlement_has_event after insert on core.grant_entitlement
  deferrable initially deferred for each row execute function core.require_event_of('grant:', 'grt', 'grant_id', '1');
alter table core.grant_entitlement enable always trigger grant_entitlement_has_event;
create trigger grant_entitlement_refuse_change before update or delete on core.grant_entitlement
  for each row execute function core.refuse_change();
create trigger grant_entitlement_refuse_truncate before truncate on core.grant_entitlement
  for each statement execute function core.refuse_change();
alter table core.grant_entitlement enable always trigger grant_entitlement_refuse_change;
alter table core.grant_entitlement enable always trigger grant_entitlement_refuse_truncate;

create table core.operation (
  id uuid not null,
  entitlement_id uuid not null,
  kind text not null,
  fence bigint not null,
  deadline timestamptz not null,
  outcome text not null,
  started_at timestamptz not null,
  finished_at timestamptz,
  error text not null default '',
  constraint operation_pk primary key (id),
  constraint operation_fence_uq unique (entitlement_id, fence),
  constraint operation_entitlement_fk foreign key (entitlement_id) references core.entitlement (id),
  constraint operation_kind_ck check (kind in ('ensure', 'remove', 'credential')),
  constraint operation_outcome_ck check (outcome in ('open', 'succeeded', 'failed', 'uncertain')),
  constraint operation_finished_ck check ((outcome = 'open') = (finished_at is null)),
  constraint operation_deadline_ck check (isfinite(deadline) and deadline > started_at)
);
comment on table core.operation is 'attempts to bring an entitlement to its desired state; committed before the target is called';
comment on column core.operation.outcome is 'open: running, or its worker died; succeeded and failed: a definite answer; uncertain: its effect may land until deadline and skew have passed';
create index operation_open_ix on core.operation (entitlement_id, deadline) where outcome in ('open', 'uncertain');

create function core.step_operation() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if old.outcome <> 'open' then
    raise exception 'operation % is over', old.id
      using errcode = 'integrity_constraint_violation', constraint = 'operation_ends_once';
  end if;
  return new;
end
$$;
comment on function core.step_operation is 'trigger: an operation ends once';
create trigger operation_step before update on core.operation
  for each row execute function core.step_operation();
create trigger operation_refuse_delete before delete on core.operation
  for each row execute function core.refuse_change();
create trigger operation_refuse_truncate before truncate on core.operation
  for each statement execute function core.refuse_change();
alter table core.operation enable always trigger operation_step;
alter table core.operation enable always trigger operation_refuse_delete;
alter table core.operation enable always trigger operation_refuse_truncate;

revoke execute on function core.step_entitlement() from public;
revoke execute on function core.step_operation() from public;

grant select, insert on core.account, core.entitlement, core.grant_entitlement, core.operation to rampkeeper_app;
grant update (presence, until, fence, lease_until, next_at, failures, last_error, version) on core.entitlement to rampkeeper_app;
grant update (outcome, finished_at, error) on core.operation to rampkeeper_app;
grant select on core.account, core.entitlement, core.grant_entitlement, core.operation to rampkeeper_auditor;

commit;
