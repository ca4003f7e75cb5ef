begin;

set local role rampkeeper_owner;

alter table core.decision drop constraint decision_request_fk;
drop table core.vote;
drop table core.request_approver;
drop table core.request_item;
drop table core.request;
drop table core.decision;
drop table core.request_transition;
drop table core.request_state;
drop function core.check_vote();
drop function core.step_request();

commit;
