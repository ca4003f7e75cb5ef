begin;

set local role rampkeeper_owner;

create table core.grant_state (
  state text not null,
  terminal boolean not null,
  constraint grant_state_pk primary key (state)
);
comment on table core.grant_state is 'the states of a grant; the empty one stands for a row that does not exist yet';
comment on column core.grant_state.terminal is 'no step leads out of it';
insert into core.grant_state (state, terminal) values
  ('', false), ('scheduled', false), ('provisioning', false), ('active', false), ('revoking', false),
  ('ended', true), ('lapsed', true), ('cancelled', true);

create table core.grant_transition (
  prior text not null,
  on_trigger text not null,
  next text not null,
  constraint grant_transition_pk primary key (prior, on_trigger, next),
  constraint grant_transition_prior_fk foreign key (prior) references core.grant_state (state),
  constraint grant_transition_next_fk foreign key (next) references core.grant_state (state),
  constraint grant_transition_next_ck check (next <> '')
);
comment on table core.grant_transition is 'every step a grant may take; core.grant refers to it, so no other step can be stored';
insert into core.grant_transition (prior, on_trigger, next) values
  ('', 'approve', 'scheduled'),
  ('scheduled', 'start', 'provisioning'),
  ('scheduled', 'lapse', 'lapsed'),
  ('scheduled', 'cancel', 'cancelled'),
  ('provisioning', 'confirm', 'active'),
  ('provisioning', 'end', 'revoking'),
  ('provisioning', 'extend', 'provisioning'),
  ('provisioning', 'shorten', 'provisioning'),
  ('active', 'end', 'revoking'),
  ('active', 'extend', 'active'),
  ('active', 'shorten', 'active'),
  ('revoking', 'verify', 'ended'),
  ('revoking', 'attest', 'ended');

create table core.grant (
  id uuid not null,
  stream text not null generated always as ('grant:' || core.typeid('grt', id)) stored,
  request_id uuid not null,
  item integer not null,
  holder text not null,
  role text not null,
  resource text not null,
  contract text not null,
  connector text not null,
  state text not null,
  prior_state text not null default '',
  last_trigger text not null,
  duration_seconds bigint not null,
  max_total_seconds bigint not null,
  start_at timestamptz not null,
  start_by timestamptz not null,
  not_after timestamptz,
  expires_at timestamptz not null,
  started_at timestamptz,
  activated_at timestamptz,
  ended_at timestamptz,
  end_reason text,
  expiry_class text not null,
  residual_seconds bigint not null,
  credentials_issued_at timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  constraint grant_pk primary key (id),
  constraint grant_stream_uq unique (stream),
  constraint grant_request_item_uq unique (request_id, item),
  constraint grant_request_item_fk foreign key (request_id, item) references core.request_item (request_id, item),
  constraint grant_holder_fk foreign key (holder) references core.principal (id),
  constraint grant_transition_fk foreign key (prior_state, last_trigger, state)
    references core.grant_transition (prior, on_trigger, next),
  constraint grant_duration_ck check (duration_seconds > 0 and max_total_seconds >= duration_seconds),
  constraint grant_times_ck check (isfinite(start_at) and isfinite(start_by) and start_by >= start_at),
  constraint grant_expires_at_ck check (isfinite(expires_at)),
  constraint grant_not_after_ck check (not_after is null or expires_at <= not_after),
  constraint grant_total_ck check (started_at is null or expires_at <= started_at + make_interval(secs => max_total_seconds)),
  constraint grant_started_ck check ((state in ('provisioning', 'active', 'revoking', 'ended')) = (started_at is not null)),
  constraint grant_activated_ck check (state <> 'active' or activated_at is not null),
  constraint grant_ended_ck check ((state in ('ended', 'lapsed', 'cancelled')) = (ended_at is not null)),
  constraint grant_end_reason_ck check (end_reason in ('expired', 'revoked_by_requester', 'revoked_by_approver',
    'revoked_by_admin', 'policy', 'identity', 'drift', 'failed_provision', 'attested')),
  constraint grant_end_reason_state_ck check (case
    when state in ('scheduled', 'provisioning', 'active') then end_reason is null
    when state in ('revoking', 'ended') then end_reason is not null
    else true end),
  constraint grant_expiry_class_ck check (expiry_class in ('native', 'decision', 'reaper')),
  constraint grant_residual_ck check (residual_seconds >= -1),
  constraint grant_version_ck check (version > 0)
);
comment on table core.grant is 'the access that an approved item gives';
comment on column core.grant.stream is 'in the audit log';
comment on column core.grant.item is 'index into the request''s items';
comment on column core.grant.state is 'scheduled: waits for its start; provisioning: access is being made; active: read back as present; revoking: its end was requested; terminal: ended (verified gone), lapsed (never started), cancelled (stopped before it started)';
comment on column core.grant.prior_state is 'set by a trigger to the state before, so that the step is what core.grant_transition allows';
comment on column core.grant.last_trigger is 'what led to the state';
comment on column core.grant.max_total_seconds is 'the longest that expires_at - started_at may be over all extensions';
comment on column core.grant.start_by is 'lapses if it has not started by then';
comment on column core.grant.not_after is 'end of the contract''s validity';
comment on column core.grant.expires_at is 'absolute from the moment the row exists; rises only by an extension';
comment on column core.grant.end_reason is 'why it ends, from revoking on';
comment on column core.grant.expiry_class is 'who ends the access in time: native (the target), decision (the target asks), reaper (the broker)';
comment on column core.grant.residual_seconds is 'worst-case overstay past expires_at while the broker is down; -1: only the broker ends all of it';
create index grant_expires_at_ix on core.grant (expires_at) where state in ('provisioning', 'active');
create index grant_start_at_ix on core.grant (start_at) where state = 'scheduled';
create index grant_start_by_ix on core.grant (start_by) where state = 'scheduled';
create index grant_revoking_ix on core.grant (id) where state = 'revoking';
create index grant_needing_ix on core.grant (id) where state in ('provisioning', 'active', 'revoking');
create index grant_holder_ix on core.grant (holder, state);
create index grant_contract_ix on core.grant (contract) where state in ('scheduled', 'provisioning', 'active', 'revoking');
create index grant_created_at_ix on core.grant (created_at, id);

alter table core.request add constraint request_extends_fk foreign key (extends) references core.grant (id);

create function core.step_grant() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    new.prior_state := '';
    if new.version <> 1 then
      raise exception 'a new grant has version 1' using errcode = 'integrity_constraint_violation', constraint = 'grant_version_follows';
    end if;
    return new;
  end if;
  if new.version <> old.version + 1 then
    raise exception 'version % of grant % does not follow %', new.version, old.id, old.version
      using errcode = 'integrity_constraint_violation', constraint = 'grant_version_follows';
  end if;
  -- Handing over credentials is no step: it happens while there is access, and
  -- again only after others for the same account have taken their place.
  -- The stream is generated after this trigger.
  if new.credentials_issued_at is distinct from old.credentials_issued_at then
    if new.credentials_issued_at is null or new.credentials_issued_at <= old.credentials_issued_at or old.state not in ('provisioning', 'active')
       or to_jsonb(new) - array['credentials_issued_at', 'version', 'stream'] <> to_jsonb(old) - array['credentials_issued_at', 'version', 'stream'] then
      raise exception 'credentials of grant % cannot be handed over', old.id
        using errcode = 'integrity_constraint_violation', constraint = 'grant_credentials_once';
    end if;
    return new;
  end if;
  new.prior_state := old.state;
  if new.expires_at > old.expires_at and new.last_trigger <> 'extend' then
    raise exception 'the end of grant % rises only by an extension', old.id
      using errcode = 'integrity_constraint_violation', constraint = 'grant_end_rises_by_extension';
  end if;
  if new.started_at is distinct from old.started_at and (old.started_at is not null or new.last_trigger <> 'start') then
    raise exception 'the start of grant % is set once', old.id
      using errcode = 'integrity_constraint_violation', constraint = 'grant_started_once';
  end if;
  return new;
end
$$;
comment on function core.step_grant is 'trigger: every change is a step from the state before, with the next version';
create trigger grant_step before insert or update on core.grant
  for each row execute function core.step_grant();
create constraint trigger grant_has_event after insert or update on core.grant
  deferrable initially deferred for each row execute function core.require_event();
create trigger grant_refuse_delete before delete on core.grant
  for each row execute function core.refuse_change();
create trigger grant_refuse_truncate before truncate on core.grant
  for each statement execute function core.refuse_change();
alter table core.grant enable always trigger grant_step;
alter table core.grant enable always trigger grant_has_event;
alter table core.grant enable always trigger grant_refuse_delete;
alter table core.grant enable always trigger grant_refuse_truncate;

revoke execute on function core.step_grant() from public;

grant select on core.grant_state, core.grant_transition to rampkeeper_app, rampkeeper_auditor;
grant select, insert on core.grant to rampkeeper_app;
grant update (state, prior_state, last_trigger, expires_at, started_at, activated_at, ended_at, end_reason, expiry_class,
  residual_seconds, credentials_issued_at, version) on core.grant to rampkeeper_app;
grant select on core.grant to rampkeeper_auditor;

commit;
