import ai.onnxruntime.OnnxJavaType;
import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OnnxValue;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import ai.onnxruntime.TensorInfo;
import java.io.IOException;
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
 * Runs the jobs of a list (tests/bindings/__init__.py) in sessions of which nothing is known but one library.
 *
 * <pre>java -cp onnxruntime.jar Run.java LIBRARY LIST</pre>
 */
public final class Run {
    private static final OrtEnvironment ENVIRONMENT = OrtEnvironment.getEnvironment();

    /** Element types by their number in ONNX; those of Java have numbers of their own. */
    private static final List<OnnxJavaType> TYPES = List.of(
            OnnxJavaType.UNKNOWN, OnnxJavaType.FLOAT, OnnxJavaType.UINT8, OnnxJavaType.INT8, OnnxJavaType.UNKNOWN,
            OnnxJavaType.INT16, OnnxJavaType.INT32, OnnxJavaType.INT64, OnnxJavaType.STRING, OnnxJavaType.BOOL,
            OnnxJavaType.FLOAT16, OnnxJavaType.DOUBLE);

    public static void main(String[] arguments) throws IOException, OrtException {
        Map<String, OnnxTensor> inputs = new LinkedHashMap<>();
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            String[] cells = line.split("\t");
            if (cells[0].equals("input")) {
                inputs.put(cells[1], tensor(Integer.parseInt(cells[2]), cells[3], Path.of(cells[4])));
                continue;
            }
            Path folder = Path.of(cells[2]);
            try {
                run(arguments[0], cells[1], inputs, folder);
            } catch (OrtException problem) {
                Files.writeString(folder.resolve("error"), problem.getMessage());
            }
            inputs.clear();
        }
    }

    private static void run(String library, String model, Map<String, OnnxTensor> inputs, Path folder)
            throws IOException, OrtException {
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.registerCustomOpLibrary(library);
            options.setSessionLogLevel(ai.onnxruntime.OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
            try (OrtSession session = ENVIRONMENT.createSession(model, options);
                    OrtSession.Result results = session.run(inputs)) {
                List<String> lines = new ArrayList<>();
                for (Map.Entry<String, OnnxValue> result : results) {
                    lines.add(written(result.getKey(), (OnnxTensor) result.getValue(), folder.resolve("" + lines.size())));
                }
                Files.write(folder.resolve("outputs"), lines);
            }
        }
    }

    private static OnnxTensor tensor(int elementType, String sizes, Path file) throws IOException, OrtException {
        long[] shape = Arrays.stream(sizes.split(",")).filter(size -> !size.isEmpty()).mapToLong(Long::parseLong).toArray();
        ByteBuffer data = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        OnnxJavaType type = TYPES.get(elementType);
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
    private static String written(String name, OnnxTensor tensor, Path file) throws IOException, OrtException {
        TensorInfo info = tensor.getInfo();
        if (info.type == OnnxJavaType.STRING) {
            List<byte[]> texts = new ArrayList<>();
            collect(tensor.getValue(), texts);
            ByteBuffer data = ByteBuffer.allocate(texts.stream().mapToInt(text -> 4 + text.length).sum());
            data.order(ByteOrder.LITTLE_ENDIAN);
            texts.forEach(text -> data.putInt(text.length).put(text));
            Files.write(file, data.array());
        } else {
            ByteBuffer data = tensor.getByteBuffer();
            byte[] bytes = new byte[data.remaining()];
            data.get(bytes);
            Files.write(file, bytes);
        }
        String sizes = Arrays.stream(info.getShape()).mapToObj(Long::toString).collect(Collectors.joining(","));
        return String.join("\t", name, "" + TYPES.indexOf(info.type), sizes, file.toString());
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
