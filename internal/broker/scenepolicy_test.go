package broker

import "github.com/rampkeeper/rampkeeper/internal/access"

// The catalogue of the tests, and contracts that each show one thing.
const catalogue = `
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/readonly}
spec: {title: Read, entitlements: {postgres/database: [{permission: "ro_{{resource.name}}"}]}}
---
apiVersion: rampkeeper/v1
kind: Role
metadata: {name: pg/admin}
spec: {title: Administer, entitlements: {postgres/database: [{permission: "admin_{{resource.name}}"}]}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/orders"}
spec: {title: Orders, connector: target, labels: {env: prod}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/ledger"}
spec: {title: Ledger, connector: target, labels: {env: prod}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/queue"}
spec: {title: Queue, connector: target, labels: {env: prod}}
---
apiVersion: rampkeeper/v1
kind: Resource
metadata: {name: "postgres/database:prod/vault"}
spec: {title: Vault, connector: target, labels: {env: prod}}
`

const (
	// reads gives at once: no stages.
	reads = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: reads}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
`
	// changes wants one of the owners.
	changes = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: changes}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/orders}]}]
  time: {duration: {min: 1m, max: 2h}, startWithin: 2h, decideWithin: 4h}
  approvals: {stages: [{name: owner, seats: [{from: {group: owners}}]}]}
`
	// ledger wants two owners, then somebody of security.
	ledger = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: ledger}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/ledger}]}]
  time: {duration: {min: 1m, max: 2h}, startWithin: 2h, decideWithin: 4h}
  approvals:
    stages:
      - {name: owners, seats: [{from: {group: owners}, count: 2}]}
      - {name: security, seats: [{from: {group: secops}}]}
`
	// pair wants two owners.
	pair = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: pair}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/queue}]}]
  time: {duration: {min: 1m, max: 2h}, startWithin: 2h, decideWithin: 4h}
  approvals: {stages: [{name: owners, seats: [{from: {group: owners}, count: 2}]}]}
`
	// single lets one grant live at a time.
	single = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: single}
spec:
  subjects: {any: [{group: engineers}]}
  permits: [{roles: [pg/readonly], resources: [{type: postgres/database, path: prod/queue}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
  limits: {activeTotal: 1}
`
	// vaults is for people that the tests' requesters are not.
	vaults = `
apiVersion: rampkeeper/v1
kind: Contract
metadata: {name: vaults}
spec:
  subjects: {any: [{group: treasurers}]}
  permits: [{roles: [pg/admin], resources: [{type: postgres/database, path: prod/vault}]}]
  time: {duration: {min: 1m, max: 1h}, startWithin: 2h}
`
)

var (
	ordersRead  = access.Item{Role: "pg/readonly", Resource: "postgres/database:prod/orders"}
	ordersAdmin = access.Item{Role: "pg/admin", Resource: "postgres/database:prod/orders"}
	ledgerAdmin = access.Item{Role: "pg/admin", Resource: "postgres/database:prod/ledger"}
	queueRead   = access.Item{Role: "pg/readonly", Resource: "postgres/database:prod/queue"}
	queueAdmin  = access.Item{Role: "pg/admin", Resource: "postgres/database:prod/queue"}
	vaultAdmin  = access.Item{Role: "pg/admin", Resource: "postgres/database:prod/vault"}
	nowhere     = access.Item{Role: "pg/admin", Resource: "postgres/database:prod/nowhere"}
)
