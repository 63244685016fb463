// Runs a list of a set of hybrids (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
//
//	CGO_CFLAGS=-I$HEADERS go run . [--provider] ONNXRUNTIME LIBRARY SET LIST OUT
//
// With --provider the library is the sessions' execution provider, and their entries are its options.
//
// Go's published binding knows neither operator libraries nor initializers, and no scalars, so this speaks to the C API.
package main

/*
#cgo CFLAGS: -Wno-unused-result
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include "onnxruntime_c_api.h"

static const OrtApi *ort;
static OrtEnv *environment;
static OrtAllocator *allocator;
static OrtMemoryInfo *memory;

static const char *load(const char *path, int version) {
    void *runtime = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!runtime) return dlerror();
    const OrtApiBase *(*base)(void);
    *(void **)&base = dlsym(runtime, "OrtGetApiBase");
    ort = base ? base()->GetApi(version) : NULL;
    if (!ort) return "no ONNX Runtime, or an old one";
    ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "run", &environment);
    ort->GetAllocatorWithDefaultOptions(&allocator);
    ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory);
    return NULL;
}

static const char *message(OrtStatus *status) { return ort->GetErrorMessage(status); }
static void release_status(OrtStatus *status) { ort->ReleaseStatus(status); }

static OrtSessionOptions *options(void) {
    OrtSessionOptions *made;
    ort->CreateSessionOptions(&made);
    ort->SetSessionLogSeverityLevel(made, ORT_LOGGING_LEVEL_ERROR);
    return made;
}
static void release_options(OrtSessionOptions *o) { ort->ReleaseSessionOptions(o); }
static OrtStatus *add_entry(OrtSessionOptions *o, const char *k, const char *v) { return ort->AddSessionConfigEntry(o, k, v); }
static OrtStatus *add_default(OrtSessionOptions *o, const char *n, OrtValue *v) { return ort->AddInitializer(o, n, v); }
static OrtStatus *add_library(OrtSessionOptions *o, const char *path) { return ort->RegisterCustomOpsLibrary_V2(o, path); }

static const OrtEpDevice *device;

static OrtStatus *add_provider(const char *path) {
    const OrtEpDevice *const *devices;
    size_t count = 0;
    OrtStatus *problem = ort->RegisterExecutionProviderLibrary(environment, "onnxhybrid", path);
    if (!problem) problem = ort->GetEpDevices(environment, &devices, &count);
    for (size_t at = 0; at < count; at++) {
        if (!strcmp(ort->EpDevice_EpName(devices[at]), "OnnxHybridExecutionProvider")) device = devices[at];
    }
    return problem || device ? problem : ort->CreateStatus(ORT_FAIL, "the library offers no device");
}
static OrtStatus *append(OrtSessionOptions *o, const char **keys, const char **values, size_t n) {
    return ort->SessionOptionsAppendExecutionProvider_V2(o, environment, &device, 1, keys, values, n);
}

static OrtStatus *open(const char *path, OrtSessionOptions *o, OrtSession **s) { return ort->CreateSession(environment, path, o, s); }
static void release_session(OrtSession *s) { ort->ReleaseSession(s); }

static OrtStatus *tensor(void *data, size_t length, int64_t *shape, size_t rank, int type, OrtValue **value) {
    return ort->CreateTensorWithDataAsOrtValue(memory, data, length, shape, rank, type, value);
}
static OrtStatus *texts(int64_t *shape, size_t rank, const char **strings, size_t count, OrtValue **value) {
    OrtStatus *problem = ort->CreateTensorAsOrtValue(allocator, shape, rank, ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, value);
    return problem ? problem : ort->FillStringTensor(*value, strings, count);
}
static void release_value(OrtValue *v) { ort->ReleaseValue(v); }

static size_t output_count(OrtSession *s) { size_t count; ort->SessionGetOutputCount(s, &count); return count; }
static char *output_name(OrtSession *s, size_t at) { char *name; ort->SessionGetOutputName(s, at, allocator, &name); return name; }
static void release_name(char *name) { ort->AllocatorFree(allocator, name); }
static OrtStatus *run(OrtSession *s, const char **in, OrtValue **fed, size_t n, const char **out, OrtValue **results, size_t m) {
    return ort->Run(s, NULL, in, (const OrtValue *const *)fed, n, out, m, results);
}

static size_t describe(OrtValue *v, int *type, int64_t *shape, size_t *count) {
    OrtTensorTypeAndShapeInfo *info;
    ONNXTensorElementDataType found;
    size_t rank;
    ort->GetTensorTypeAndShape(v, &info);
    ort->GetTensorElementType(info, &found);
    ort->GetDimensionsCount(info, &rank);
    ort->GetDimensions(info, shape, rank);
    ort->GetTensorShapeElementCount(info, count);
    ort->ReleaseTensorTypeAndShapeInfo(info);
    *type = found;
    return rank;
}
static void *elements(OrtValue *v) { void *data; ort->GetTensorMutableData(v, &data); return data; }
static size_t text_length(OrtValue *v, size_t at) { size_t length; ort->GetStringTensorElementLength(v, at, &length); return length; }
static void text(OrtValue *v, size_t at, size_t length, void *into) { ort->GetStringTensorElement(v, length, at, into); }
*/
import "C"

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"unsafe"
)

const most = 16 // sizes of a tensor
const textType = 8

// given is what the next session is given.
type given struct {
	inputs, defaults []tensor
	entries          [][2]string
}

type tensor struct {
	name  *C.char
	value *C.OrtValue
}

var library *C.char
var set, out string

// enter gives a session's options the library and its entries.
var enter = asOperators

func main() {
	arguments, version := os.Args[1:], C.int(18)
	provider := arguments[0] == "--provider"
	if provider {
		arguments, version, enter = arguments[1:], 24, asProvider
	}
	if problem := C.load(C.CString(arguments[0]), version); problem != nil {
		panic(C.GoString(problem))
	}
	library, set, out = C.CString(arguments[1]), arguments[2], arguments[4]
	if provider {
		if problem := check(C.add_provider(library)); problem != nil {
			panic(problem)
		}
	}
	list := string(contents(arguments[3]))
	var next given
	for _, line := range strings.Split(strings.TrimRight(list, "\n"), "\n") {
		cells := strings.Split(line, "\t")
		switch cells[0] {
		case "input":
			next.inputs = append(next.inputs, read(cells))
			continue
		case "default":
			next.defaults = append(next.defaults, read(cells))
			continue
		case "entry":
			next.entries = append(next.entries, [2]string{cells[1], strings.ReplaceAll(cells[2], "{set}", set)})
			continue
		case "together":
			together(cells, next)
		case "leave":
			go job(cells[1], cells[2], next)
			bufio.NewReader(os.Stdin).ReadString('\n')
			return
		default:
			job(cells[1], cells[2], next)
		}
		next = given{}
	}
}

func together(cells []string, next given) {
	count, _ := strconv.Atoi(cells[3])
	var group sync.WaitGroup
	for number := 0; number < count; number++ {
		group.Add(1)
		go func(folder string) {
			defer group.Done()
			job(cells[1], folder, next)
		}(fmt.Sprintf("%s/%d", cells[2], number))
	}
	group.Wait()
}

func job(model, folder string, next given) {
	folder = filepath.Join(out, folder)
	if problem := perform(filepath.Join(set, model), folder, next); problem != nil {
		write(folder, "error", []byte(problem.Error()))
	}
}

func perform(model, folder string, next given) error {
	options := C.options()
	defer C.release_options(options)
	for _, each := range next.defaults {
		if problem := check(C.add_default(options, each.name, each.value)); problem != nil {
			return problem
		}
	}
	if problem := enter(options, next.entries); problem != nil {
		return problem
	}
	var session *C.OrtSession
	if problem := check(C.open(C.CString(model), options, &session)); problem != nil {
		return problem
	}
	defer C.release_session(session)
	return run(session, folder, next)
}

func asOperators(options *C.OrtSessionOptions, entries [][2]string) error {
	for _, entry := range entries {
		if problem := check(C.add_entry(options, C.CString(entry[0]), C.CString(entry[1]))); problem != nil {
			return problem
		}
	}
	return check(C.add_library(options, library))
}

func asProvider(options *C.OrtSessionOptions, entries [][2]string) error {
	keys, values := make([]*C.char, len(entries)+1), make([]*C.char, len(entries)+1) // none has an address, too
	for at, entry := range entries {
		keys[at], values[at] = C.CString(entry[0]), C.CString(entry[1])
	}
	return check(C.append(options, &keys[0], &values[0], C.size_t(len(entries))))
}

func run(session *C.OrtSession, folder string, next given) error {
	var names []*C.char
	var values []*C.OrtValue
	for _, input := range next.inputs {
		names, values = append(names, input.name), append(values, input.value)
	}
	outputs := make([]*C.char, C.output_count(session))
	for at := range outputs {
		outputs[at] = C.output_name(session, C.size_t(at))
		defer C.release_name(outputs[at])
	}
	results := make([]*C.OrtValue, len(outputs))
	status := C.run(session, &names[0], &values[0], C.size_t(len(names)), &outputs[0], &results[0], C.size_t(len(outputs)))
	if problem := check(status); problem != nil {
		return problem
	}
	var lines strings.Builder
	for at, result := range results {
		element, sizes, data := taken(result)
		fmt.Fprintf(&lines, "%s\t%d\t%s\t%d\n", C.GoString(outputs[at]), element, sizes, at)
		write(folder, strconv.Itoa(at), data)
		C.release_value(result)
	}
	write(folder, "outputs", []byte(lines.String()))
	return nil
}

// taken gives an output's element type, sizes and bytes.
func taken(value *C.OrtValue) (int, string, []byte) {
	var element C.int
	var shape [most]C.int64_t
	var count C.size_t
	rank := C.describe(value, &element, &shape[0], &count)
	var sizes []string
	for _, size := range shape[:rank] {
		sizes = append(sizes, strconv.FormatInt(int64(size), 10))
	}
	if element != textType {
		length := C.int(count) * width(int(element))
		return int(element), strings.Join(sizes, ","), C.GoBytes(C.elements(value), length)
	}
	var data []byte
	for at := C.size_t(0); at < count; at++ {
		text := make([]byte, C.text_length(value, at)+1)
		C.text(value, at, C.size_t(len(text)-1), unsafe.Pointer(&text[0]))
		data = binary.LittleEndian.AppendUint32(data, uint32(len(text)-1))
		data = append(data, text[:len(text)-1]...)
	}
	return textType, strings.Join(sizes, ","), data
}

// width is the size of an element in bytes, by its type's number in ONNX.
func width(element int) C.int {
	switch element {
	case 2, 3, 9:
		return 1
	case 4, 5, 10, 16:
		return 2
	case 1, 6, 12:
		return 4
	}
	return 8
}

// read makes the tensor of a line; its bytes stay where they are.
func read(cells []string) tensor {
	element, _ := strconv.Atoi(cells[2])
	var shape [most]C.int64_t
	rank := C.size_t(0)
	for _, size := range strings.FieldsFunc(cells[3], func(r rune) bool { return r == ',' }) {
		parsed, _ := strconv.ParseInt(size, 10, 64)
		shape[rank] = C.int64_t(parsed)
		rank++
	}
	data := contents(cells[4])
	made := tensor{name: C.CString(cells[1])}
	var status *C.OrtStatus
	if element == textType {
		texts := split(data)
		status = C.texts(&shape[0], rank, &texts[0], C.size_t(len(texts)), &made.value)
	} else {
		status = C.tensor(C.CBytes(data), C.size_t(len(data)), &shape[0], rank, C.int(element), &made.value)
	}
	if problem := check(status); problem != nil {
		panic(problem)
	}
	return made
}

func split(data []byte) []*C.char {
	var texts []*C.char
	for len(data) > 0 {
		length := binary.LittleEndian.Uint32(data)
		texts = append(texts, C.CString(string(data[4:4+length])))
		data = data[4+length:]
	}
	return texts
}

func check(status *C.OrtStatus) error {
	if status == nil {
		return nil
	}
	defer C.release_status(status)
	return errors.New(C.GoString(C.message(status)))
}

func contents(name string) []byte {
	data, problem := os.ReadFile(filepath.Join(set, name))
	if problem != nil {
		panic(problem)
	}
	return data
}

func write(folder, name string, data []byte) {
	if problem := os.WriteFile(filepath.Join(folder, name), data, 0o644); problem != nil {
		panic(problem)
	}
}
