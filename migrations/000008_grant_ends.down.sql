begin;

set local role rampkeeper_owner;

drop index core.entitlement_lease_ix;
drop table core.grant_note;
drop function core.check_attestation();
drop function core.require_note_event();
alter table core.grant drop constraint grant_revoking_at_ck;
alter table core.grant drop column revoking_at;

commit;
