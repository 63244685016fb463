/* Runs a hybrid without Python: a plain session of ONNX Runtime with one registered library.
 *
 *     cc -I HEADERS samples/c/hybrid.c -o hybrid -lonnxruntime
 *     ./hybrid LIBRARY hybrid.onnx
 *
 * HEADERS has onnxruntime_c_api.h, of ONNX Runtime 1.18 or later. LIBRARY is what oh.library_path() gives. The hybrid is
 * as that of samples/digits.py: image float32[n, 64] -> label int64[n].
 */
#include <stdio.h>
#include <stdlib.h>

#include "onnxruntime_c_api.h"

static const OrtApi *ort;

static void check(OrtStatus *status) {
    if (status) { /* such as: [OH501] …, where the cloud cannot be reached */
        puts(ort->GetErrorMessage(status));
        exit(1);
    }
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("usage: hybrid LIBRARY hybrid.onnx\n", stderr);
        return 2;
    }
    ort = OrtGetApiBase()->GetApi(18);
    OrtEnv *environment;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "hybrid", &environment));
    OrtSessionOptions *options;
    check(ort->CreateSessionOptions(&options));
    check(ort->RegisterCustomOpsLibrary_V2(options, arguments[1]));
    OrtSession *session;
    check(ort->CreateSession(environment, arguments[2], options, &session));

    float image[64];
    for (int pixel = 0; pixel < 64; pixel++) {
        image[pixel] = (float)(pixel % 16);
    }
    const int64_t shape[] = {1, 64};
    OrtMemoryInfo *memory;
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    OrtValue *input, *output = NULL;
    check(ort->CreateTensorWithDataAsOrtValue(memory, image, sizeof image, shape, 2,
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &input));
    const char *fed[] = {"image"}, *wanted[] = {"label"};
    check(ort->Run(session, NULL, fed, (const OrtValue *const *)&input, 1, wanted, 1, &output));
    int64_t *label;
    check(ort->GetTensorMutableData(output, (void **)&label));
    printf("label %lld\n", (long long)label[0]);

    ort->ReleaseValue(output);
    ort->ReleaseValue(input);
    ort->ReleaseMemoryInfo(memory);
    ort->ReleaseSession(session);
    ort->ReleaseSessionOptions(options);
    ort->ReleaseEnv(environment);
    return 0;
}
