begin;

set local role rampkeeper_owner;

create table core.policy_document (
  digest text not null,
  kind text not null,
  name text not null,
  body json not null,
  source text not null,
  constraint policy_document_pk primary key (digest),
  constraint policy_document_digest_ck check (digest = encode(sha256(convert_to(body::text, 'UTF8')), 'hex')),
  constraint policy_document_kind_ck check (kind <> ''),
  constraint policy_document_name_ck check (name <> ''),
  constraint policy_document_identity_uq unique (digest, kind, name)
);
comment on table core.policy_document is 'policy documents by digest; immutable, shared by revisions';
comment on column core.policy_document.body is 'the canonical JSON that the digest is taken of';
comment on column core.policy_document.source is 'the file as its author wrote it';

create table core.policy_revision (
  revision bigint not null,
  digest text not null,
  author text not null,
  issuer text not null,
  applied_at timestamptz not null,
  note text not null default '',
  constraint policy_revision_pk primary key (revision),
  constraint policy_revision_revision_ck check (revision > 0),
  constraint policy_revision_digest_ck check (digest ~ '^[0-9a-f]{64}$')
);
comment on table core.policy_revision is 'every set of policy that was ever in force, numbered from 1; immutable';
comment on column core.policy_revision.issuer is 'the issuer that bare user names in these documents belong to';

create table core.policy_member (
  revision bigint not null,
  kind text not null,
  name text not null,
  digest text not null,
  constraint policy_member_pk primary key (revision, kind, name),
  constraint policy_member_revision_fk foreign key (revision) references core.policy_revision (revision),
  constraint policy_member_document_fk foreign key (digest, kind, name) references core.policy_document (digest, kind, name)
);
comment on table core.policy_member is 'which documents a revision consists of';
create index policy_member_document_ix on core.policy_member (kind, name, revision);

create table core.policy (
  singleton boolean not null default true,
  revision bigint not null,
  constraint policy_pk primary key (singleton),
  constraint policy_singleton_ck check (singleton),
  constraint policy_revision_fk foreign key (revision) references core.policy_revision (revision)
);
comment on table core.policy is 'the revision in force; whoever decides and whoever applies policy takes the advisory lock of policy first';

create function core.policy_follows() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if new.revision <> (case when tg_op = 'INSERT' then 1 else old.revision + 1 end) then
    raise exception 'policy revision % does not follow the one in force', new.revision
      using errcode = 'integrity_constraint_violation', constraint = 'policy_revision_follows';
  end if;
  return new;
end
$$;
comment on function core.policy_follows is 'trigger: revisions rise by one';
create trigger policy_follows before insert or update on core.policy
  for each row execute function core.policy_follows();
alter table core.policy enable always trigger policy_follows;

create function core.require_policy_event() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
begin
  if not audit.recorded('policy', new.revision) then
    raise exception 'policy revision % has no audit event in the transaction that made it', new.revision
      using errcode = 'integrity_constraint_violation', constraint = 'state_has_event';
  end if;
  return null;
end
$$;
comment on function core.require_policy_event is 'deferred trigger: no policy revision, nor a document in it, without its audit event in the same transaction';
create constraint trigger policy_revision_has_event after insert on core.policy_revision
  deferrable initially deferred for each row execute function core.require_policy_event();
alter table core.policy_revision enable always trigger policy_revision_has_event;
create constraint trigger policy_member_has_event after insert on core.policy_member
  deferrable initially deferred for each row execute function core.require_policy_event();
alter table core.policy_member enable always trigger policy_member_has_event;
create constraint trigger policy_has_event after insert or update on core.policy
  deferrable initially deferred for each row execute function core.require_policy_event();
alter table core.policy enable always trigger policy_has_event;

create trigger policy_document_refuse_change before update or delete on core.policy_document
  for each row execute function core.refuse_change();
create trigger policy_document_refuse_truncate before truncate on core.policy_document
  for each statement execute function core.refuse_change();
alter table core.policy_document enable always trigger policy_document_refuse_change;
alter table core.policy_document enable always trigger policy_document_refuse_truncate;

create trigger policy_revision_refuse_change before update or delete on core.policy_revision
  for each row execute function core.refuse_change();
create trigger policy_revision_refuse_truncate before truncate on core.policy_revision
  for each statement execute function core.refuse_change();
alter table core.policy_revision enable always trigger policy_revision_refuse_change;
alter table core.policy_revision enable always trigger policy_revision_refuse_truncate;

create trigger policy_member_refuse_change before update or delete on core.policy_member
  for each row execute function core.refuse_change();
create trigger policy_member_refuse_truncate before truncate on core.policy_member
  for each statement execute function core.refuse_change();
alter table core.policy_member enable always trigger policy_member_refuse_change;
alter table core.policy_member enable always trigger policy_member_refuse_truncate;

create trigger policy_refuse_delete before delete on core.policy
  for each row execute function core.refuse_change();
create trigger policy_refuse_truncate before truncate on core.policy
  for each statement execute function core.refuse_change();
alter table core.policy enable always trigger policy_refuse_delete;
alter table core.policy enable always trigger policy_refuse_truncate;

revoke execute on function core.policy_follows() from public;
revoke execute on function core.require_policy_event() from public;

grant select, insert on core.policy_document, core.policy_revision, core.policy_member, core.policy to rampkeeper_app;
grant update (revision) on core.policy to rampkeeper_app;
grant select on core.policy_document, core.policy_revision, core.policy_member, core.policy to rampkeeper_auditor;

commit;
