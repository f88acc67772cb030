// Package subscription tells subscribers of what was written: FHIR R4 Subscriptions, with a search
// as their criteria, and the Subscriptions R5 Backport (1.1.0) on R4, with topics.
//
//	subscription.go  Service: what is subscribed, who follows the store
//	spec.go          what a Subscription resource asks for, and what is refused
//	topic.go         the topics: each resource type created, updated, deleted
//	event.go         from a version in the store's order to the events of subscribers
//	state.go         a subscription's state, sealed on disk
//	worker.go        one goroutine per subscription: handshake, heartbeat, retries, its end
//	hook.go          the channel rest-hook
//	socket.go        the channel websocket
//	notify.go        notifications
//	operate.go       $status, $events, $get-ws-binding-token
//
// Contract: an event is found after its commit, in the store's order, with the Leave that its
// subscriber has then; what she may not see triggers nothing, and what she may not see any more is
// in no notification. Events are numbered without a gap and durable before they are told, and each
// is told at least once; several that come close together may be told together. A subscriber whose
// authorisation ended is told nothing more. A deletion is told to topics without filters only: what
// is deleted has no index that a filter could be held against. Addresses are called only if the
// operator's configuration allows them, and redirects are not followed.
//
// It must never log what a resource says, nor an address or header of a subscription.
package subscription
