begin;

set local role rampkeeper_owner;

create table core.request_state (
  state text not null,
  terminal boolean not null,
  constraint request_state_pk primary key (state)
);
comment on table core.request_state is 'the states of a request; the empty one stands for a row that does not exist yet';
comment on column core.request_state.terminal is 'no step leads out of it';
insert into core.request_state (state, terminal) values
  ('', false), ('pending', false), ('approved', true), ('refused', true), ('denied', true),
  ('withdrawn', true), ('expired', true), ('invalidated', true);

create table core.request_transition (
  prior text not null,
  on_trigger text not null,
  next text not null,
  constraint request_transition_pk primary key (prior, on_trigger, next),
  constraint request_transition_prior_fk foreign key (prior) references core.request_state (state),
  constraint request_transition_next_fk foreign key (next) references core.request_state (state),
  constraint request_transition_next_ck check (next <> '')
);
comment on table core.request_transition is 'every step a request may take; core.request refers to it, so no other step can be stored';
insert into core.request_transition (prior, on_trigger, next) values
  ('', 'submit', 'pending'),
  ('', 'submit', 'approved'),
  ('', 'submit', 'refused'),
  ('pending', 'vote', 'pending'),
  ('pending', 'approve', 'approved'),
  ('pending', 'deny', 'denied'),
  ('pending', 'withdraw', 'withdrawn'),
  ('pending', 'expire', 'expired'),
  ('pending', 'invalidate', 'invalidated');

create table core.decision (
  id uuid not null,
  request_id uuid,
  policy_revision bigint not null,
  outcome text not null,
  body json not null,
  facts json not null,
  created_at timestamptz not null,
  constraint decision_pk primary key (id),
  constraint decision_request_uq unique (request_id),
  constraint decision_policy_revision_fk foreign key (policy_revision) references core.policy_revision (revision),
  constraint decision_outcome_ck check (outcome in ('permit', 'review', 'refuse'))
);
comment on table core.decision is 'the engine''s answers, whole: with the facts they replay byte for byte; append-only';
comment on column core.decision.request_id is 'null for a question without a request';
comment on column core.decision.outcome is 'permit: granted at once; review: people decide; refuse: policy said no';
comment on column core.decision.body is 'the exact text of the decision with its trace';
comment on column core.decision.facts is 'the exact text of what was known; the decision holds its digest';

create table core.request (
  id uuid not null,
  number bigint generated always as identity,
  stream text not null generated always as ('request:' || core.typeid('req', id)) stored,
  requester text not null,
  items json not null,
  duration_seconds bigint not null,
  reason text not null,
  reason_salt bytea not null,
  ticket text not null,
  start_at timestamptz,
  contract_wanted text not null,
  extends uuid,
  hash text not null,
  fingerprint text not null,
  state text not null,
  prior_state text not null default '',
  last_trigger text not null,
  decision_id uuid not null,
  decide_by timestamptz,
  version bigint not null,
  created_at timestamptz not null,
  decided_at timestamptz,
  state_reason text not null default '',
  constraint request_pk primary key (id),
  constraint request_number_uq unique (number),
  constraint request_stream_uq unique (stream),
  constraint request_requester_fk foreign key (requester) references core.principal (id),
  constraint request_decision_fk foreign key (decision_id) references core.decision (id),
  constraint request_transition_fk foreign key (prior_state, last_trigger, state)
    references core.request_transition (prior, on_trigger, next),
  constraint request_items_ck check (json_typeof(items) = 'array' and json_array_length(items) between 1 and 20),
  constraint request_duration_ck check (duration_seconds between 1 and 315360000),
  constraint request_reason_salt_ck check (length(reason_salt) >= 16),
  constraint request_hash_ck check (hash ~ '^[0-9a-f]{64}$'),
  constraint request_fingerprint_ck check (fingerprint ~ '^[0-9a-f]{64}$'),
  constraint request_version_ck check (version > 0),
  constraint request_decide_by_ck check (decide_by is null or isfinite(decide_by)),
  constraint request_pending_ck check (state <> 'pending' or decide_by is not null),
  constraint request_decided_ck check ((state = 'pending') = (decided_at is null))
);
comment on table core.request is 'what was asked, frozen and hashed, and what became of it';
comment on column core.request.number is 'for speech: #1042';
comment on column core.request.stream is 'in the audit log';
comment on column core.request.items is '[{"role","resource"}, …]';
comment on column core.request.reason is 'free text; hash and audit log hold only its salted digest';
comment on column core.request.contract_wanted is 'the contract that the requester named, or empty';
comment on column core.request.extends is 'the grant whose end should move, for an extension';
comment on column core.request.hash is 'SHA-256 of what was asked; votes name it';
comment on column core.request.fingerprint is 'digest of the ask without its reason: one pending request of a person for the same thing';
comment on column core.request.state is 'pending: votes are outstanding; all others are terminal: approved, refused by policy, denied by an approver, withdrawn, expired, invalidated';
comment on column core.request.prior_state is 'set by a trigger to the state before, so that the step is what core.request_transition allows';
comment on column core.request.last_trigger is 'what led to the state';
comment on column core.request.decide_by is 'a pending request expires then';
comment on column core.request.state_reason is 'a sentence on why it ended, where one helps';
create unique index request_one_pending_uq on core.request (requester, fingerprint) where state = 'pending';
create index request_twin_ix on core.request (requester, fingerprint, number) where state in ('pending', 'approved');
create index request_requester_ix on core.request (requester, number);
create index request_state_ix on core.request (state, number);
create index request_decide_by_ix on core.request (decide_by) where state = 'pending';

alter table core.decision add constraint decision_request_fk foreign key (request_id)
  references core.request (id) deferrable initially deferred;

create function core.step_request() returns trigger
  language plpgsql
  set search_path = pg_catalog, pg_temp
as $$
begin
  if tg_op = 'INSERT' then
    new.prior_state := '';
    if new.version <> 1 then
      raise exception 'a new request has version 1' using errcode = 'integrity_constraint_violation', constraint = 'request_version_follows';
    end if;
    return new;
  end if;
  new.prior_state := old.state;
  if new.version <> old.version + 1 then
    raise exception 'version % of request % does not follow %', new.version, old.id, old.version
      using errcode = 'integrity_constraint_violation', constraint = 'request_version_follows';
  end if;
  return new;
end
$$;
comment on function core.step_request is 'trigger: every change is a step from the state before, with the next version';
create trigger request_step before insert or update on core.request
  for each row execute function core.step_request();
create constraint trigger request_has_event after insert or update on core.request
  deferrable initially deferred for each row execute function core.require_event();
create trigger request_refuse_delete before delete on core.request
  for each row execute function core.refuse_change();
create trigger request_refuse_truncate before truncate on core.request
  for each statement execute function core.refuse_change();
alter table core.request enable always trigger request_step;
alter table core.request enable always trigger request_has_event;
alter table core.request enable always trigger request_refuse_delete;
alter table core.request enable always trigger request_refuse_truncate;

create trigger decision_refuse_change before update or delete on core.decision
  for each row execute function core.refuse_change();
create trigger decision_refuse_truncate before truncate on core.decision
  for each statement execute function core.refuse_change();
alter table core.decision enable always trigger decision_refuse_change;
alter table core.decision enable always trigger decision_refuse_truncate;

create table core.request_item (
  request_id uuid not null,
  item integer not null,
  role text not null,
  resource text not null,
  contract text,
  connector text,
  constraint request_item_pk primary key (request_id, item),
  constraint request_item_request_fk foreign key (request_id) references core.request (id),
  constraint request_item_item_ck check (item between 0 and 19)
);
comment on table core.request_item is 'the items of a request with the contract that was chosen, for lists and filters';
comment on column core.request_item.item is 'index into the request''s items';
create index request_item_resource_ix on core.request_item (resource, request_id);
create index request_item_contract_ix on core.request_item (contract, request_id);
create constraint trigger request_item_has_event after insert on core.request_item
  deferrable initially deferred for each row execute function core.require_event_of('request:', 'req', 'request_id', '1');
alter table core.request_item enable always trigger request_item_has_event;
create trigger request_item_refuse_change before update or delete on core.request_item
  for each row execute function core.refuse_change();
create trigger request_item_refuse_truncate before truncate on core.request_item
  for each statement execute function core.refuse_change();
alter table core.request_item enable always trigger request_item_refuse_change;
alter table core.request_item enable always trigger request_item_refuse_truncate;

create table core.request_approver (
  request_id uuid not null,
  user_id text,
  group_name text,
  constraint request_approver_uq unique nulls not distinct (request_id, user_id, group_name),
  constraint request_approver_request_fk foreign key (request_id) references core.request (id),
  constraint request_approver_one_ck check (num_nonnulls(user_id, group_name) = 1)
);
comment on table core.request_approver is 'who is named by the seats of a request: drives the inbox and who may see it';
create index request_approver_user_ix on core.request_approver (user_id, request_id) where user_id is not null;
create index request_approver_group_ix on core.request_approver (group_name, request_id) where group_name is not null;
create constraint trigger request_approver_has_event after insert on core.request_approver
  deferrable initially deferred for each row execute function core.require_event_of('request:', 'req', 'request_id', '1');
alter table core.request_approver enable always trigger request_approver_has_event;
create trigger request_approver_refuse_change before update or delete on core.request_approver
  for each row execute function core.refuse_change();
create trigger request_approver_refuse_truncate before truncate on core.request_approver
  for each statement execute function core.refuse_change();
alter table core.request_approver enable always trigger request_approver_refuse_change;
alter table core.request_approver enable always trigger request_approver_refuse_truncate;

create table core.vote (
  id uuid not null,
  request_id uuid not null,
  voter text not null,
  decision text not null,
  reason text not null,
  reason_salt bytea not null,
  request_hash text not null,
  cast_at timestamptz not null,
  constraint vote_pk primary key (id),
  constraint vote_one_per_person_uq unique (request_id, voter),
  constraint vote_request_fk foreign key (request_id) references core.request (id),
  constraint vote_voter_fk foreign key (voter) references core.principal (id),
  constraint vote_decision_ck check (decision in ('approve', 'deny')),
  constraint vote_reason_salt_ck check (length(reason_salt) >= 16)
);
comment on table core.vote is 'what approvers said; append-only; nobody votes on a request of their own';
comment on column core.vote.decision is 'approve or deny';
comment on column core.vote.request_hash is 'the hash of the request that the voter saw; must be the request''s';
comment on column core.vote.reason is 'free text; the audit log holds only its salted digest';

create function core.check_vote() returns trigger
  language plpgsql
  security definer
  set search_path = pg_catalog, pg_temp
as $$
declare
  r record;
begin
  select q.requester, q.hash, q.state into r from core.request q where q.id = new.request_id;
  if r.requester = new.voter then
    raise exception 'nobody votes on a request of their own'
      using errcode = 'check_violation', constraint = 'vote_not_by_requester_ck';
  end if;
  if r.hash <> new.request_hash then
    raise exception 'the vote names another version of the request'
      using errcode = 'check_violation', constraint = 'vote_request_hash_ck';
  end if;
  if r.state <> 'pending' then
    raise exception 'the request is %', r.state
      using errcode = 'check_violation', constraint = 'vote_request_pending_ck';
  end if;
  return new;
end
$$;
comment on function core.check_vote is 'trigger: a vote is by another person, on the request as it is, while it is pending; insert the vote before the step that it causes';

create trigger vote_check before insert on core.vote
  for each row execute function core.check_vote();
create constraint trigger vote_has_event after insert on core.vote
  deferrable initially deferred for each row execute function core.require_event_of('request:', 'req', 'request_id');
create trigger vote_refuse_change before update or delete on core.vote
  for each row execute function core.refuse_change();
create trigger vote_refuse_truncate before truncate on core.vote
  for each statement execute function core.refuse_change();
alter table core.vote enable always trigger vote_check;
alter table core.vote enable always trigger vote_has_event;
alter table core.vote enable always trigger vote_refuse_change;
alter table core.vote enable always trigger vote_refuse_truncate;

revoke execute on function core.step_request() from public;
revoke execute on function core.check_vote() from public;

grant select on core.request_state, core.request_transition to rampkeeper_app, rampkeeper_auditor;
grant select, insert on core.decision, core.request, core.request_item, core.request_approver, core.vote to rampkeeper_app;
grant update (state, prior_state, last_trigger, decide_by, version, decided_at, state_reason) on core.request to rampkeeper_app;
grant select on core.decision, core.request, core.request_item, core.request_approver, core.vote to rampkeeper_auditor;

commit;
