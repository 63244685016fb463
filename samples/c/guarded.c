/* Runs a hybrid whose session has credentials, a policy and a threshold.
 *
 *     cc -I HEADERS samples/c/guarded.c -o guarded -lonnxruntime
 *     CLOUD_TOKEN=… ./guarded LIBRARY hybrid.onnx 0.9
 *
 * The hybrid's remote model has auth=oh.Credential("cloud"), and its judge oh.Input("threshold", default=…). The token is
 * read from the environment at each call, and goes to the hosts that are named, and nowhere else.
 */
#include <stdio.h>
#include <stdlib.h>

#include "onnxruntime_c_api.h"

static const char SETTINGS[] =
    "{\"credentials\": {\"cloud\": {\"env\": \"CLOUD_TOKEN\", \"hosts\": [\"127.0.0.1\"]}},"
    " \"policy\": {\"budget\": {\"calls\": 100}, \"breaker\": {\"failures\": 3}}}";

static const OrtApi *ort;
static OrtMemoryInfo *memory;

static void check(OrtStatus *status) {
    if (status) {
        puts(ort->GetErrorMessage(status));
        exit(1);
    }
}

static OrtValue *tensor(float *data, const int64_t *shape, size_t rank) {
    size_t length = sizeof *data;
    for (size_t axis = 0; axis < rank; axis++) {
        length *= (size_t)shape[axis];
    }
    OrtValue *value;
    check(ort->CreateTensorWithDataAsOrtValue(memory, data, length, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
                                              &value));
    return value;
}

int main(int count, char **arguments) {
    if (count != 4) {
        fputs("usage: guarded LIBRARY hybrid.onnx THRESHOLD\n", stderr);
        return 2;
    }
    ort = OrtGetApiBase()->GetApi(18);
    OrtEnv *environment;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "guarded", &environment));
    OrtSessionOptions *options;
    check(ort->CreateSessionOptions(&options));
    check(ort->AddSessionConfigEntry(options, "onnxhybrid.session", SETTINGS)); /* before the library is registered */
    check(ort->RegisterCustomOpsLibrary_V2(options, arguments[1]));
    OrtSession *session;
    check(ort->CreateSession(environment, arguments[2], options, &session));

    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    float image[64], threshold[] = {strtof(arguments[3], NULL)};
    for (int pixel = 0; pixel < 64; pixel++) {
        image[pixel] = (float)(pixel % 16);
    }
    OrtValue *inputs[] = {tensor(image, (int64_t[]){1, 64}, 2), tensor(threshold, (int64_t[]){1}, 1)}, *output = NULL;
    const char *fed[] = {"image", "threshold"}, *wanted[] = {"label"};
    check(ort->Run(session, NULL, fed, (const OrtValue *const *)inputs, 2, wanted, 1, &output));
    int64_t *label;
    check(ort->GetTensorMutableData(output, (void **)&label));
    printf("label %lld\n", (long long)label[0]);

    ort->ReleaseValue(output);
    ort->ReleaseValue(inputs[0]);
    ort->ReleaseValue(inputs[1]);
    ort->ReleaseMemoryInfo(memory);
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(environment);
    return 0;
}
