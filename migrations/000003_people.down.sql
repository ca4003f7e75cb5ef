begin;

set local role rampkeeper_owner;

drop table core.idempotency;
drop table core.login;
drop table core.session;
drop table core.principal;
drop function core.require_groups_event();

commit;
