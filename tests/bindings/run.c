/* Runs a list of a set of hybrids (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
 *
 *     cc -std=c99 -I HEADERS run.c -o run -ldl -lpthread
 *     x86_64-w64-mingw32-gcc-posix -std=c99 -I HEADERS run.c -o run.exe -static -lpthread
 *     run ONNXRUNTIME LIBRARY SET LIST OUT
 *
 * With -DPROVIDER the library is the sessions' execution provider, and their entries are its options.
 */
#define __USE_MINGW_ANSI_STDIO 1
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include "onnxruntime_c_api.h"

#ifdef PROVIDER
#define VERSION 24 /* the first that takes execution providers with operators */
#else
#define VERSION 18 /* what the library itself asks for: ONNX Runtime 1.18 and later */
#endif
#define MOST 16    /* inputs, outputs, defaults or entries of a session, and sizes of a tensor */
#define THREADS 64
#define LINE 16384

static const OrtApi *ort;
static OrtEnv *environment;
static OrtAllocator *allocator;
static OrtMemoryInfo *memory;
static const char *library, *set, *out;

typedef struct {
    char *name;
    OrtValue *value;
    char *data;
} Tensor;

/* What the next session is given. */
typedef struct {
    Tensor inputs[MOST], defaults[MOST];
    char *keys[MOST], *values[MOST];
    size_t fed, defaulted, entries;
} Given;

/* A session and its run, on a thread of its own or not. */
typedef struct {
    const Given *given;
    char model[LINE], folder[LINE];
} Job;

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

static char *copied(const char *text, size_t length) {
    char *copy = malloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = 0;
    return copy;
}

/* The path of what is below a folder. */
static void below(char *path, const char *folder, const char *name) {
    if (snprintf(path, LINE, "%s/%s", folder, name) >= LINE) {
        fail("a path is too long", name);
    }
}

static FILE *opened(const char *folder, const char *name, const char *mode) {
    char path[LINE];
    below(path, folder, name);
    FILE *file = fopen(path, mode);
    if (!file) {
        fail("cannot open", path);
    }
    return file;
}

static char *contents(const char *name, size_t *length) {
    FILE *file = opened(set, name, "rb");
    fseek(file, 0, SEEK_END);
    *length = (size_t)ftell(file);
    rewind(file);
    char *data = malloc(*length + 1);
    if (fread(data, 1, *length, file) != *length) {
        fail("cannot read", name);
    }
    data[*length] = 0;
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
        char *text = copied(data + 4, (size_t)size);
        check(ort->FillStringTensorElement(value, text, position));
        free(text);
        data += 4 + size;
    }
}

/* A tensor over its file's bytes, which an initializer's have to be; its texts are copied. */
static Tensor tensor(char **cells) {
    int64_t shape[MOST];
    size_t rank = parsed(cells[3], shape), length;
    ONNXTensorElementDataType type = (ONNXTensorElementDataType)atoi(cells[2]);
    Tensor made = {copied(cells[1], strlen(cells[1])), NULL, contents(cells[4], &length)};
    if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) {
        check(ort->CreateTensorAsOrtValue(allocator, shape, rank, type, &made.value));
        fill_texts(made.value, made.data, length);
    } else {
        check(ort->CreateTensorWithDataAsOrtValue(memory, made.data, length, shape, rank, type, &made.value));
    }
    return made;
}

static void release(const Tensor *tensor) {
    ort->ReleaseValue(tensor->value);
    free(tensor->name);
    free(tensor->data);
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
    char number[32];
    snprintf(number, sizeof number, "%zu", position);
    fprintf(lines, "\t%s\n", number);
    FILE *file = opened(folder, number, "wb");
    write_elements(file, value, type, count);
    fclose(file);
}

/* Runs a session and writes what comes out; gives what went wrong. */
static OrtStatus *run(OrtSession *session, const Given *given, const char *folder) {
    const char *names[MOST];
    const OrtValue *values[MOST];
    char *outputs[MOST];
    OrtValue *results[MOST] = {0};
    size_t made;
    for (size_t position = 0; position < given->fed; position++) {
        names[position] = given->inputs[position].name;
        values[position] = given->inputs[position].value;
    }
    check(ort->SessionGetOutputCount(session, &made));
    for (size_t position = 0; position < made; position++) {
        check(ort->SessionGetOutputName(session, position, allocator, &outputs[position]));
    }
    OrtStatus *problem =
        ort->Run(session, NULL, names, values, given->fed, (const char *const *)outputs, made, results);
    FILE *lines = problem ? NULL : opened(folder, "outputs", "wb");
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

/* Opens a session; its path is wide on Windows. */
static OrtStatus *open_session(const char *model, const OrtSessionOptions *options, OrtSession **session) {
    char path[LINE];
    below(path, set, model);
#ifdef _WIN32
    wchar_t wide[LINE];
    MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, LINE);
    return ort->CreateSession(environment, wide, options, session);
#else
    return ort->CreateSession(environment, path, options, session);
#endif
}

#ifdef PROVIDER
/* The execution provider that the library is, with what the session is given for its options. */
static OrtStatus *append(OrtSessionOptions *options, const Given *given) {
    const OrtEpDevice *const *devices;
    size_t count;
    check(ort->GetEpDevices(environment, &devices, &count));
    for (size_t number = 0; number < count; number++) {
        if (strcmp(ort->EpDevice_EpName(devices[number]), "OnnxHybridExecutionProvider") == 0) {
            return ort->SessionOptionsAppendExecutionProvider_V2(options, environment, &devices[number], 1,
                                                                 (const char *const *)given->keys,
                                                                 (const char *const *)given->values, given->entries);
        }
    }
    fail("no device is offered by", library);
    return NULL;
}
#endif

/* The library, registered with options in which it finds what the session is given. */
static OrtStatus *prepare(OrtSessionOptions *options, const Given *given) {
    check(ort->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_ERROR));
    for (size_t position = 0; position < given->defaulted; position++) {
        check(ort->AddInitializer(options, given->defaults[position].name, given->defaults[position].value));
    }
#ifdef PROVIDER
    return append(options, given);
#endif
    for (size_t position = 0; position < given->entries; position++) {
        check(ort->AddSessionConfigEntry(options, given->keys[position], given->values[position]));
    }
#ifdef _WIN32
    wchar_t wide[LINE];
    MultiByteToWideChar(CP_UTF8, 0, library, -1, wide, LINE);
    return ort->RegisterCustomOpsLibrary_V2(options, wide);
#else
    return ort->RegisterCustomOpsLibrary_V2(options, library);
#endif
}

static void *do_job(void *work) {
    const Job *job = work;
    OrtSessionOptions *options;
    OrtSession *session = NULL;
    check(ort->CreateSessionOptions(&options));
    OrtStatus *problem = prepare(options, job->given);
    if (!problem) {
        problem = open_session(job->model, options, &session);
    }
    if (!problem) {
        problem = run(session, job->given, job->folder);
        ort->ReleaseSession(session);
    }
    if (problem) {
        FILE *file = opened(job->folder, "error", "wb");
        fputs(ort->GetErrorMessage(problem), file);
        fclose(file);
        ort->ReleaseStatus(problem);
    }
    ort->ReleaseSessionOptions(options);
    return NULL;
}

/* Does a job so many times at once. */
static void do_together(const Job *job, size_t count) {
    static Job jobs[THREADS];
    pthread_t threads[THREADS];
    if (count > THREADS) {
        fail("together", "too many threads");
    }
    for (size_t number = 0; number < count; number++) {
        char place[24];
        snprintf(place, sizeof place, "%zu", number);
        jobs[number] = *job;
        below(jobs[number].folder, job->folder, place);
    }
    for (size_t number = 0; number < count; number++) {
        if (pthread_create(&threads[number], NULL, do_job, &jobs[number])) {
            fail("pthread_create", "failed");
        }
    }
    for (size_t number = 0; number < count; number++) {
        pthread_join(threads[number], NULL);
    }
}

/* Begins a job, and ends the process as the end of `main` does when a line is read. */
static void do_leave(Job *job) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, do_job, job)) {
        fail("pthread_create", "failed");
    }
    getchar();
    exit(0);
}

static void clear(Given *given) {
    while (given->fed) {
        release(&given->inputs[--given->fed]);
    }
    while (given->defaulted) {
        release(&given->defaults[--given->defaulted]);
    }
    for (; given->entries; given->entries--) {
        free(given->keys[given->entries - 1]);
        free(given->values[given->entries - 1]);
    }
}

/* An entry's value, in which `{set}` stands for the set's folder. */
static char *filled(const char *value) {
    static char text[LINE];
    size_t length = 0;
    for (; *value && length + strlen(set) + 1 < LINE; length = strlen(text)) {
        size_t part = strncmp(value, "{set}", 5) ? 1 : 5;
        snprintf(text + length, LINE - length, "%.*s", part == 5 ? (int)strlen(set) : 1, part == 5 ? set : value);
        value += part;
    }
    text[length] = 0;
    return copied(text, length);
}

static void do_line(char **cells, Given *given) {
    static Job job;
    if (strcmp(cells[0], "input") == 0) {
        given->inputs[given->fed++] = tensor(cells);
        return;
    }
    if (strcmp(cells[0], "default") == 0) {
        given->defaults[given->defaulted++] = tensor(cells);
        return;
    }
    if (strcmp(cells[0], "entry") == 0) {
        given->keys[given->entries] = copied(cells[1], strlen(cells[1]));
        given->values[given->entries++] = filled(cells[2]);
        return;
    }
    job.given = given;
    snprintf(job.model, LINE, "%s", cells[1]);
    below(job.folder, out, cells[2]);
    if (strcmp(cells[0], "together") == 0) {
        do_together(&job, (size_t)atoi(cells[3]));
    } else if (strcmp(cells[0], "leave") == 0) {
        do_leave(&job);
    } else {
        do_job(&job);
    }
    clear(given);
}

static void do_all(char *list) {
    static Given given;
    while (*list) {
        char *cells[5] = {"", "", "", "", ""}, *end = list + strcspn(list, "\n"), *next = *end ? end + 1 : end;
        *end = 0;
        for (size_t found = 0; found < 5; found++) {
            cells[found] = list;
            list += strcspn(list, "\t");
            if (!*list) {
                break;
            }
            *list++ = 0;
        }
        do_line(cells, &given);
        list = next;
    }
}

static void *symbol(const char *path, const char *name) {
#ifdef _WIN32
    wchar_t wide[LINE];
    MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, LINE);
    HMODULE runtime = LoadLibraryW(wide);
    if (!runtime) {
        fail("LoadLibrary", path);
    }
    return (void *)(uintptr_t)GetProcAddress(runtime, name);
#else
    void *runtime = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!runtime) {
        fail("dlopen", dlerror());
    }
    return dlsym(runtime, name);
#endif
}

int main(int count, char **arguments) {
    if (count != 6) {
        fail("usage", "run ONNXRUNTIME LIBRARY SET LIST OUT");
    }
    const OrtApiBase *(ORT_API_CALL * base)(void);
    *(void **)&base = symbol(arguments[1], "OrtGetApiBase");
    ort = base ? base()->GetApi(VERSION) : NULL;
    if (!ort) {
        fail(arguments[1], "is no ONNX Runtime, or an old one");
    }
    library = arguments[2], set = arguments[3], out = arguments[5];
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run", &environment));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
#ifdef PROVIDER
    check(ort->RegisterExecutionProviderLibrary(environment, "onnxhybrid", library));
#endif
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    size_t length;
    char *list = contents(arguments[4], &length);
    do_all(list);
    free(list);
    ort->ReleaseMemoryInfo(memory);
    ort->ReleaseEnv(environment);
    return 0;
}
