begin;

set local role rampkeeper_owner;

drop table core.operation;
drop table core.grant_entitlement;
drop table core.entitlement;
drop table core.account;
drop function core.step_operation();
drop function core.step_entitlement();

commit;
