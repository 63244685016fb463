/* The C functions of onnxhybrid's operator library, for hosts that want more than ONNX Runtime's own interface offers.
 *
 * A program needs none of them to run a hybrid: it registers the library with a session's options
 * (RegisterCustomOpsLibrary_V2), and gives the session its settings in the configuration entry "onnxhybrid.session".
 * With these it has a session's statistics and events, answers for credentials itself, cancels runs, and ends at once.
 *
 * Texts are UTF-8 and end with a NUL. A text that is returned is freed with onnxhybrid_free. Every function may be called
 * from any thread. The library is in the folder lib beside this one; its functions are those of ONNXHYBRID_ABI_VERSION.
 */
#ifndef ONNXHYBRID_H
#define ONNXHYBRID_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these functions; it changes when one of them does, or comes to them. */
#define ONNXHYBRID_ABI_VERSION 5

/* Receives a credential's value, or an error's text. */
typedef void (*onnxhybrid_put)(void *sink, const uint8_t *bytes, size_t length);

/* Answers "what is this credential's value?": it calls `put` once with the value and returns 0, or with an error text
 * that holds no secret and returns anything else. It is called at every use, on a thread of the library's. */
typedef int32_t (*onnxhybrid_provider)(const char *name, void *sink, onnxhybrid_put put);

/* Called on a run's own thread while it waits; anything but 0 ends the wait. */
typedef int32_t (*onnxhybrid_check)(void);

/* How many events wait in all scopes together (onnxhybrid_scope_events); read it with an atomic load. */
extern uint64_t onnxhybrid_events_waiting;

/* ONNXHYBRID_ABI_VERSION of the library that is loaded. */
uint32_t onnxhybrid_abi_version(void);

/* The attributes of remote nodes, the protocols, and the words of a session's settings, as JSON. */
char *onnxhybrid_protocols(void);

/* What a text is as an endpoint, as JSON. */
char *onnxhybrid_endpoint(const char *text);

/* Creates a scope out of settings: those of onnxhybrid.session, and "record", "replay", "events", and for a credential
 * {"resolver": true}, for which `resolver` is asked. Write the scope's number into the configuration entry
 * "onnxhybrid.scope" of the sessions that belong to it, before the library is registered. 0 on failure, with the
 * failure as JSON in `*failure` unless that is null. The resolver may be called until the scope's last session is gone. */
uint64_t onnxhybrid_scope_create(const char *config, onnxhybrid_provider resolver, char **failure);

/* Forgets a scope's number. Its sessions keep the scope until they are closed; no session may be opened any more with
 * options that were registered under it. */
void onnxhybrid_scope_release(uint64_t id);

/* The statistics of a scope, by the names of nodes, as JSON. */
char *onnxhybrid_scope_stats(uint64_t id);

/* Changes the budget of a scope, by JSON, and gives what was spent then: {"calls": ..., "bytes": ..., "cost_billionths":
 * ...}, or {"failure": {...}}. The change is null; {"spend": {...}}, unless that is over a limit; {"count": {...}} whatever
 * the limits are; or, of a budget that is lent, {"allow": {...}}. */
char *onnxhybrid_scope_budget(uint64_t id, const char *change);

/* With 95 % more than this share of rows differs, where so many rows were audited by any number of sessions, and so many
 * of them differed. */
double onnxhybrid_audit_low(uint64_t audited, uint64_t differed);

/* The failed attempts of a scope since the last question, as JSON; null if there are none. The scope's settings have
 * "events": true. */
char *onnxhybrid_scope_events(uint64_t id);

/* Lets sessions that are opened from now on with options that were registered under `registered` belong to `scope`; 1 if
 * done, 0 if either number is unknown. */
uint32_t onnxhybrid_scope_assign(uint64_t registered, uint64_t scope);

/* A W3C traceparent that the calls of this thread carry from now on; null for none. */
void onnxhybrid_trace(const char *traceparent);

/* Asks a server for a model's interface: {"inputs": […], "outputs": […]} or {"failure": {…}}. */
char *onnxhybrid_describe(uint64_t scope, const char *request);

/* Makes a run, to be entered on the thread that will call OrtRun, and gives its number; 0 on failure. */
uint64_t onnxhybrid_run_create(void);

/* Says that this thread now runs the run `id`, or with 0 one without a number, until onnxhybrid_run_leave with the same
 * token on this thread; a token is a number that no other run has which this thread is in. `check` may be null. */
void onnxhybrid_run_enter(uint64_t id, onnxhybrid_check check, uint64_t token);

/* Ends the run that this thread entered with this token, and drops what it began and did not await. */
void onnxhybrid_run_leave(uint64_t token);

/* Ends the waits of a run with OH514, from any thread; those that it has not come to yet, too. */
void onnxhybrid_run_cancel(uint64_t id);

/* Forgets the number of a run that will not be entered. */
void onnxhybrid_run_release(uint64_t id);

/* Ends all waits of the process for good, and gives runs at most so many milliseconds to return: for the end of a
 * process in which calls are under way. */
void onnxhybrid_exit(uint32_t patience_ms);

/* Frees a text that one of these functions returned, once; null is nothing to free. */
void onnxhybrid_free(char *text);

/* RegisterCustomOps, which ONNX Runtime calls, is exported, too; a program that links the library passes it to
 * OrtApi::RegisterCustomOpsUsingFunction by its name. */

#ifdef __cplusplus
}
#endif

#endif
