import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.FloatBuffer;
import java.util.Map;

/**
 * Runs a hybrid without Python: a plain session of ONNX Runtime with one registered library.
 *
 * <pre>java -cp onnxruntime-1.23.2.jar samples/java/Hybrid.java LIBRARY hybrid.onnx</pre>
 *
 * The jar is com.microsoft.onnxruntime:onnxruntime. LIBRARY is what oh.library_path() gives; on Android it is
 * libonnxhybrid.so in the application's folder of native libraries. The hybrid is as that of samples/digits.py:
 * image float32[n, 64] -> label int64[n]. Java's API leaves inputs with a default at that; Guarded.java gives one another.
 */
public final class Hybrid {
    public static void main(String[] arguments) throws OrtException {
        float[] image = new float[64];
        for (int pixel = 0; pixel < image.length; pixel++) {
            image[pixel] = pixel % 16;
        }
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
            options.registerCustomOpLibrary(arguments[0]);
            try (OrtSession session = environment.createSession(arguments[1], options);
                    OnnxTensor tensor = OnnxTensor.createTensor(environment, FloatBuffer.wrap(image), new long[] {1, 64});
                    OrtSession.Result result = session.run(Map.of("image", tensor))) {
                long[] labels = (long[]) result.get("label").orElseThrow().getValue();
                System.out.println("label " + labels[0]);
            }
        } catch (OrtException problem) { // such as: [OH501] …, where the cloud cannot be reached
            System.out.println(problem.getMessage());
            System.exit(1);
        }
    }
}
