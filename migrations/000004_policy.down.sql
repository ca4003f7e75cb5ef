begin;

set local role rampkeeper_owner;

drop table core.policy;
drop table core.policy_member;
drop table core.policy_revision;
drop table core.policy_document;
drop function core.policy_follows();
drop function core.require_policy_event();

commit;
