/* Opens the first sessions of a process at once; the status is 1 where one of them fails.
 *
 *     first ONNXRUNTIME LIBRARY hybrid.onnx THREADS
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnxruntime_c_api.h"

#define MOST 64

static const OrtApi *ort;
static OrtEnv *environment;
static const char *library, *model;
static int waiting, failed;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all = PTHREAD_COND_INITIALIZER;

static void check(OrtStatus *status) {
    if (status) {
        puts(ort->GetErrorMessage(status));
        failed = 1;
    }
}

static void wait_for_all(void) {
    pthread_mutex_lock(&lock);
    if (--waiting == 0) {
        pthread_cond_broadcast(&all);
    }
    while (waiting > 0) {
        pthread_cond_wait(&all, &lock);
    }
    pthread_mutex_unlock(&lock);
}

static void *open_one(void *nothing) {
    OrtSessionOptions *options;
    OrtSession *session;
    check(ort->CreateSessionOptions(&options));
    check(ort->SetIntraOpNumThreads(options, 1));
    check(ort->RegisterCustomOpsLibrary_V2(options, library));
    wait_for_all();
    check(ort->CreateSession(environment, model, options, &session));
    return nothing;
}

int main(int count, char **arguments) {
    pthread_t threads[MOST];
    void *runtime = count == 5 ? dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL) : NULL;
    const OrtApiBase *(*base)(void) = NULL;
    if (runtime) {
        *(void **)&base = dlsym(runtime, "OrtGetApiBase");
    }
    if (!base) {
        return 2;
    }
    ort = base()->GetApi(18);
    library = arguments[2], model = arguments[3], waiting = atoi(arguments[4]) % MOST;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "first", &environment));
    int made = waiting;
    for (int number = 0; number < made; number++) {
        pthread_create(&threads[number], NULL, open_one, NULL);
    }
    for (int number = 0; number < made; number++) {
        pthread_join(threads[number], NULL);
    }
    return failed;
}
