/* Runs the jobs of a list (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
 *
 *     cc -I HEADERS run.c -o run -ldl
 *     run ONNXRUNTIME LIBRARY LIST
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnxruntime_c_api.h"

#define VERSION 18 /* what the library itself asks for: ONNX Runtime 1.18 and later */
#define MOST 16    /* inputs or outputs of a model */
#define LINE 4096

static const OrtApi *ort;
static OrtEnv *environment;
static OrtAllocator *allocator;

typedef struct {
    char name[LINE];
    OrtValue *value;
} Input;

static void fail(const char *problem, const char *about) {
    fprintf(stderr, "%s: %s\n", problem, about);
    exit(2);
}

/* What concerns the test rather than the job: it ends the program. */
static void check(OrtStatus *status) {
    if (status) {
        fail("ONNX Runtime", ort->GetErrorMessage(status));
    }
}

static FILE *opened(const char *folder, const char *name, const char *mode) {
    char path[2 * LINE];
    snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    FILE *file = fopen(path, mode);
    if (!file) {
        fail("cannot open", path);
    }
    return file;
}

static char *contents(const char *path, size_t *length) {
    FILE *file = opened("", path, "rb");
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*length + 1);
    if (fread(data, 1, *length, file) != *length) {
        fail("cannot read", path);
    }
    fclose(file);
    return data;
}

/* Sizes with commas between; gives their number. */
static size_t parsed(const char *text, int64_t *sizes) {
    size_t rank = 0;
    while (*text && rank < MOST) {
        char *end;
        sizes[rank++] = strtoll(text, &end, 10);
        text = *end ? end + 1 : end;
    }
    return rank;
}

static void fill_texts(OrtValue *value, const char *data, size_t length) {
    size_t position = 0;
    for (const char *end = data + length; data < end; position++) {
        int32_t size;
        memcpy(&size, data, 4);
        char *text = strndup(data + 4, (size_t)size);
        check(ort->FillStringTensorElement(value, text, position));
        free(text);
        data += 4 + size;
    }
}

static OrtValue *tensor(const char *element_type, const char *sizes, const char *path) {
    int64_t shape[MOST];
    size_t rank = parsed(sizes, shape), length;
    ONNXTensorElementDataType type = (ONNXTensorElementDataType)atoi(element_type);
    char *data = contents(path, &length);
    OrtValue *value;
    check(ort->CreateTensorAsOrtValue(allocator, shape, rank, type, &value));
    if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
        fill_texts(value, data, length);
    } else {
        void *room;
        check(ort->GetTensorMutableData(value, &room));
        memcpy(room, data, length);
    }
    free(data);
    return value;
}

static size_t element_size(ONNXTensorElementDataType type) {
    switch (type) {
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8: return 1;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_BFLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16: return 2;
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32:
    case ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT32: return 4;
    default: return 8;
    }
}

static void write_elements(FILE *file, OrtValue *value, ONNXTensorElementDataType type, size_t count) {
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
        void *data;
        check(ort->GetTensorMutableData(value, &data));
        fwrite(data, element_size(type), count, file);
        return;
    }
    for (size_t position = 0; position < count; position++) {
        size_t length;
        check(ort->GetStringTensorElementLength(value, position, &length));
        char *text = malloc(length + 1);
        check(ort->GetStringTensorElement(value, length, position, text));
        int32_t size = (int32_t)length;
        fwrite(&size, 4, 1, file);
        fwrite(text, 1, length, file);
        free(text);
    }
}

static void write_output(FILE *lines, const char *folder, size_t position, const char *name, OrtValue *value) {
    OrtTensorTypeAndShapeInfo *info;
    ONNXTensorElementDataType type;
    int64_t shape[MOST];
    size_t rank, count;
    check(ort->GetTensorTypeAndShape(value, &info));
    check(ort->GetTensorElementType(info, &type));
    check(ort->GetDimensionsCount(info, &rank));
    check(ort->GetDimensions(info, shape, rank));
    check(ort->GetTensorShapeElementCount(info, &count));
    ort->ReleaseTensorTypeAndShapeInfo(info);
    fprintf(lines, "%s\t%d\t", name, (int)type);
    for (size_t axis = 0; axis < rank; axis++) {
        fprintf(lines, axis ? ",%lld" : "%lld", (long long)shape[axis]);
    }
    fprintf(lines, "\t%s/%zu\n", folder, position);
    char number[32];
    snprintf(number, sizeof number, "%zu", position);
    FILE *file = opened(folder, number, "wb");
    write_elements(file, value, type, count);
    fclose(file);
}

/* Runs a session and writes what comes out; gives what went wrong. */
static OrtStatus *run(OrtSession *session, const Input *inputs, size_t count, const char *folder) {
    const char *names[MOST];
    const OrtValue *values[MOST];
    char *outputs[MOST];
    OrtValue *results[MOST] = {0};
    size_t made;
    for (size_t position = 0; position < count; position++) {
        names[position] = inputs[position].name;
        values[position] = inputs[position].value;
    }
    check(ort->SessionGetOutputCount(session, &made));
    for (size_t position = 0; position < made; position++) {
        check(ort->SessionGetOutputName(session, position, allocator, &outputs[position]));
    }
    OrtStatus *problem = ort->Run(session, NULL, names, values, count, (const char *const *)outputs, made, results);
    FILE *lines = problem ? NULL : opened(folder, "outputs", "w");
    for (size_t position = 0; position < made; position++) {
        if (!problem) {
            write_output(lines, folder, position, outputs[position], results[position]);
            ort->ReleaseValue(results[position]);
        }
        check(ort->AllocatorFree(allocator, outputs[position]));
    }
    if (lines) {
        fclose(lines);
    }
    return problem;
}

static void do_job(const char *library, const char *model, const Input *inputs, size_t count, const char *folder) {
    OrtSessionOptions *options;
    OrtSession *session = NULL;
    check(ort->CreateSessionOptions(&options));
    check(ort->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_ERROR));
    check(ort->RegisterCustomOpsLibrary_V2(options, library));
    OrtStatus *problem = ort->CreateSession(environment, model, options, &session);
    if (!problem) {
        problem = run(session, inputs, count, folder);
        ort->ReleaseSession(session);
    }
    if (problem) {
        FILE *file = opened(folder, "error", "w");
        fputs(ort->GetErrorMessage(problem), file);
        fclose(file);
        ort->ReleaseStatus(problem);
    }
    ort->ReleaseSessionOptions(options);
}

static void do_all(const char *library, FILE *list) {
    static char line[4 * LINE];
    static Input inputs[MOST];
    size_t count = 0;
    while (fgets(line, sizeof line, list)) {
        char *cells[5], *rest = line;
        size_t found = 0;
        line[strcspn(line, "\n")] = 0;
        while (found < 5 && (cells[found] = strsep(&rest, "\t"))) {
            found++;
        }
        if (strcmp(cells[0], "input") == 0) {
            snprintf(inputs[count].name, LINE, "%s", cells[1]);
            inputs[count++].value = tensor(cells[2], cells[3], cells[4]);
            continue;
        }
        do_job(library, cells[1], inputs, count, cells[2]);
        while (count) {
            ort->ReleaseValue(inputs[--count].value);
        }
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fail("usage", "run ONNXRUNTIME LIBRARY LIST");
    }
    void *runtime = dlopen(arguments[1], RTLD_NOW | RTLD_GLOBAL);
    if (!runtime) {
        fail("dlopen", dlerror());
    }
    const OrtApiBase *(*base)(void);
    *(void **)&base = dlsym(runtime, "OrtGetApiBase");
    ort = base ? base()->GetApi(VERSION) : NULL;
    if (!ort) {
        fail(arguments[1], "is no ONNX Runtime, or an old one");
    }
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run", &environment));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    FILE *list = opened("", arguments[3], "r");
    do_all(arguments[2], list);
    fclose(list);
    ort->ReleaseEnv(environment);
    return 0;
}
