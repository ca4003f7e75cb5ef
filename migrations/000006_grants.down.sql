begin;

set local role rampkeeper_owner;

alter table core.request drop constraint request_extends_fk;
drop table core.grant;
drop table core.grant_transition;
drop table core.grant_state;
drop function core.step_grant();

commit;
