begin;

set local role rampkeeper_owner;

alter table core.grant add column revoking_at timestamptz;
alter table core.grant add constraint grant_revoking_at_ck check (case
  when state = 'revoking' then revoking_at is not null
  when state = 'ended' then revoking_at is not null and revoking_at <= ended_at
  else revoking_at is null end);
comment on column core.grant.revoking_at is 'since when the access should be gone: what it outlives is counted from here';
grant update (revoking_at) on core.grant to rampkeeper_app;

create table core.grant_note (
  grant_id uuid not null,
  kind text not null,
  author text not null,
  role text not null default '',
  text text not null,
  salt bytea not null,
  created_at timestamptz not null,
  constraint grant_note_pk primary key (grant_id, kind, author),
  constraint grant_note_grant_fk foreign key (grant_id) references core.grant (id),
  constraint grant_note_author_fk foreign key (author) references core.principal (id),
  constraint grant_note_kind_ck check (kind in ('end', 'attest')),
  constraint grant_note_role_ck check (case kind when 'attest' then role in ('contract_admin', 'operator') and text <> '' else role = '' end),
  constraint grant_note_salt_ck check (length(salt) >= 16)
);
comment on table core.grant_note is 'what people wrote about the end of a grant; append-only';
comment on column core.grant_note.kind is 'end: why it was ended early; attest: evidence that the access is gone although the target cannot confirm it';
comment on column core.grant_note.role is 'in which role an attestation was signed';
comment on column core.grant_note.text is 'free text; the audit log holds only its salted digest';
create unique index grant_note_role_uq on core.grant_note (grant_id, role) where kind = 'attest';

create function core.check_attestation() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.kind = 'attest' and exists (select from core.grant g where g.id = new.grant_id and g.holder = new.author) then
    raise exception 'nobody attests the end of a grant of their own'
      using errcode = 'check_violation', constraint = 'grant_note_not_by_holder_ck';
  end if;
  return new;
end
$$;
comment on function core.check_attestation is 'trigger: the holder of a grant does not attest that it ended';
revoke execute on function core.check_attestation() from public;
create trigger grant_note_check before insert on core.grant_note
  for each row execute function core.check_attestation();

create function core.require_note_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not audit.recorded('grant:' || core.typeid('grt', new.grant_id), null)
     and not (new.kind = 'attest' and audit.recorded('principal:' || new.author, null)) then
    raise exception 'a note on % has no audit event in the transaction that wrote it', core.typeid('grt', new.grant_id)
      using errcode = 'integrity_constraint_violation', constraint = 'state_has_event';
  end if;
  return null;
end
$$;
comment on function core.require_note_event is 'deferred trigger: no note without an audit event of the grant in the same transaction; the first attestation moves no grant and has its event with its author';
revoke execute on function core.require_note_event() from public;
create constraint trigger grant_note_has_event after insert on core.grant_note
  deferrable initially deferred for each row execute function core.require_note_event();
alter table core.grant_note enable always trigger grant_note_has_event;
create trigger grant_note_refuse_change before update or delete on core.grant_note
  for each row execute function core.refuse_change();
create trigger grant_note_refuse_truncate before truncate on core.grant_note
  for each statement execute function core.refuse_change();
alter table core.grant_note enable always trigger grant_note_check;
alter table core.grant_note enable always trigger grant_note_refuse_change;
alter table core.grant_note enable always trigger grant_note_refuse_truncate;

create index entitlement_lease_ix on core.entitlement (lease_until) where lease_until is not null;

grant select, insert on core.grant_note to rampkeeper_app;
grant select on core.grant_note to rampkeeper_auditor;

commit;
