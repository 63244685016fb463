import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * Runs a list of a set of hybrids (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
 *
 * <pre>java -cp onnxruntime.jar Run.java LIBRARY SET LIST OUT</pre>
 */
public final class Run {
    private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

    /** Element types by their number in ONNX; those of Java have numbers of their own. */
    private static final List<OnnxJavaType> TYPES = List.of(
            OnnxJavaType.UNKNOWN, OnnxJavaType.FLOAT, OnnxJavaType.UINT8, OnnxJavaType.INT8, OnnxJavaType.UNKNOWN,
            OnnxJavaType.INT16, OnnxJavaType.INT32, OnnxJavaType.INT64, OnnxJavaType.STRING, OnnxJavaType.BOOL,
            OnnxJavaType.FLOAT16, OnnxJavaType.DOUBLE);

    /** What the next session is given. */
    private record Given(Map<String, OnnxTensor> inputs, Map<String, OnnxTensor> defaults, Map<String, String> entries) {
        Given() {
            this(new LinkedHashMap<>(), new LinkedHashMap<>(), new LinkedHashMap<>());
        }
    }

    /** How a session is given the library and its entries. */
    interface Door {
        void open(OrtSession.SessionOptions options, Map<String, String> entries) throws OrtException;
    }

    static Door door = Run::register;
    private static String library;
    private static Path set;
    private static Path out;

    public static void main(String[] arguments) throws Exception {
        library = arguments[0];
        set = Path.of(arguments[1]);
        out = Path.of(arguments[3]);
        Given given = new Given();
        for (String line : Files.readAllLines(set.resolve(arguments[2]))) {
            String[] cells = line.split("\t");
            switch (cells[0]) {
                case "input" -> given.inputs.put(cells[1], tensor(cells));
                case "default" -> given.defaults.put(cells[1], tensor(cells));
                case "entry" -> given.entries.put(cells[1], cells[2].replace("{set}", arguments[1]));
                case "together" -> together(cells, given, Integer.parseInt(cells[3]));
                case "leave" -> leave(cells, given);
                default -> job(cells[1], given, out.resolve(cells[2]));
            }
            if (!List.of("input", "default", "entry").contains(cells[0])) {
                given = new Given();
            }
        }
    }

    private static void together(String[] cells, Given given, int count) throws InterruptedException {
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            Path folder = out.resolve(cells[2]).resolve("" + number);
            threads.add(new Thread(() -> job(cells[1], given, folder)));
        }
        threads.forEach(Thread::start);
        for (Thread thread : threads) {
            thread.join();
        }
    }

    /** Begins a run, and ends the process when a line is read. */
    private static void leave(String[] cells, Given given) throws IOException {
        Thread thread = new Thread(() -> job(cells[1], given, out.resolve(cells[2])));
        thread.setDaemon(true);
        thread.start();
        System.in.read();
    }

    private static void job(String model, Given given, Path folder) {
        try {
            run(set.resolve(model).toString(), given, folder);
        } catch (OrtException problem) {
            write(folder.resolve("error"), problem.getMessage().getBytes(StandardCharsets.UTF_8));
        }
    }

    private static void run(String model, Given given, Path folder) throws OrtException {
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.setSessionLogLevel(ai.onnxruntime.OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
            for (Map.Entry<String, OnnxTensor> tensor : given.defaults.entrySet()) {
                options.addInitializer(tensor.getKey(), tensor.getValue());
            }
            door.open(options, given.entries);
            try (OrtSession session = ENVIRONMENT.createSession(model, options);
                    OrtSession.Result results = session.run(given.inputs)) {
                List<String> lines = new ArrayList<>();
                for (Map.Entry<String, OnnxValue> result : results) {
                    lines.add(written(result.getKey(), (OnnxTensor) result.getValue(), folder.resolve("" + lines.size())));
                }
                write(folder.resolve("outputs"), String.join("", lines).getBytes(StandardCharsets.UTF_8));
            }
        }
    }

    /** As operators, which find their session's entries in its options. */
    private static void register(OrtSession.SessionOptions options, Map<String, String> entries) throws OrtException {
        for (Map.Entry<String, String> entry : entries.entrySet()) {
            options.addConfigEntry(entry.getKey(), entry.getValue());
        }
        options.registerCustomOpLibrary(library);
    }

    private static void write(Path path, byte[] bytes) {
        try {
            Files.write(path, bytes);
        } catch (IOException problem) {
            throw new UncheckedIOException(problem);
        }
    }

    private static OnnxTensor tensor(String[] cells) throws IOException, OrtException {
        String sizes = cells[3];
        byte[] bytes = Files.readAllBytes(set.resolve(cells[4]));
        long[] shape = Arrays.stream(sizes.split(",")).filter(size -> !size.isEmpty()).mapToLong(Long::parseLong).toArray();
        // Of this kind, since an initializer's bytes stay where they are.
        ByteBuffer data = ByteBuffer.allocateDirect(bytes.length).order(ByteOrder.LITTLE_ENDIAN).put(bytes).rewind();
        OnnxJavaType type = TYPES.get(Integer.parseInt(cells[2]));
        return switch (type) {
            case STRING -> OnnxTensor.createTensor(ENVIRONMENT, texts(data), shape);
            case FLOAT -> OnnxTensor.createTensor(ENVIRONMENT, data.asFloatBuffer(), shape);
            case FLOAT16 -> OnnxTensor.createTensor(ENVIRONMENT, data.asShortBuffer(), shape, type);
            case INT64 -> OnnxTensor.createTensor(ENVIRONMENT, data.asLongBuffer(), shape);
            default -> OnnxTensor.createTensor(ENVIRONMENT, data, shape, type); // of one byte an element
        };
    }

    private static String[] texts(ByteBuffer data) {
        List<String> texts = new ArrayList<>();
        while (data.hasRemaining()) {
            byte[] text = new byte[data.getInt()];
            data.get(text);
            texts.add(new String(text, StandardCharsets.UTF_8));
        }
        return texts.toArray(new String[0]);
    }

    /** Writes an output into a file; gives its line. */
    private static String written(String name, OnnxTensor tensor, Path file) throws OrtException {
        TensorInfo info = tensor.getInfo();
        if (info.type == OnnxJavaType.STRING) {
            List<byte[]> texts = new ArrayList<>();
            collect(tensor.getValue(), texts);
            ByteBuffer data = ByteBuffer.allocate(texts.stream().mapToInt(text -> 4 + text.length).sum());
            data.order(ByteOrder.LITTLE_ENDIAN);
            texts.forEach(text -> data.putInt(text.length).put(text));
            write(file, data.array());
        } else {
            ByteBuffer data = tensor.getByteBuffer();
            byte[] bytes = new byte[data.remaining()];
            data.get(bytes);
            write(file, bytes);
        }
        String sizes = Arrays.stream(info.getShape()).mapToObj(Long::toString).collect(Collectors.joining(","));
        return String.join("\t", name, "" + TYPES.indexOf(info.type), sizes, file.getFileName() + "\n");
    }

    /** The texts of arrays of arrays, in order. */
    private static void collect(Object value, List<byte[]> texts) {
        if (value instanceof Object[] several) {
            for (Object each : several) {
                collect(each, texts);
            }
        } else {
            texts.add(((String) value).getBytes(StandardCharsets.UTF_8));
        }
    }
}
