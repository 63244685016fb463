import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Map;

/**
 * Runs a hybrid whose session has credentials, a policy and a threshold.
 *
 * <pre>CLOUD_TOKEN=… java -cp onnxruntime-1.23.2.jar samples/java/Guarded.java LIBRARY hybrid.onnx 0.9</pre>
 *
 * The hybrid's remote model has auth=oh.Credential("cloud"), and its judge oh.Input("threshold", default=…). The token is
 * read from the environment at each call, and goes to the hosts that are named, and nowhere else.
 */
public final class Guarded {
    private static final String SETTINGS = """
            {"credentials": {"cloud": {"env": "CLOUD_TOKEN", "hosts": ["127.0.0.1"]}},
             "policy": {"budget": {"calls": 100}, "breaker": {"failures": 3}}}""";

    public static void main(String[] arguments) throws OrtException {
        float[] image = new float[64];
        for (int pixel = 0; pixel < image.length; pixel++) {
            image[pixel] = pixel % 16;
        }
        // Java feeds no input that has a default, so the session takes another one. Its bytes stay where they are.
        FloatBuffer threshold = ByteBuffer.allocateDirect(4).order(ByteOrder.nativeOrder()).asFloatBuffer();
        threshold.put(0, Float.parseFloat(arguments[2]));
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        try (OrtSession.SessionOptions options = new OrtSession.SessionOptions();
                OnnxTensor initial = OnnxTensor.createTensor(environment, threshold, new long[] {1})) {
            options.addInitializer("threshold", initial);
            options.addConfigEntry("onnxhybrid.session", SETTINGS); // before the library is registered
            options.registerCustomOpLibrary(arguments[0]);
            try (OrtSession session = environment.createSession(arguments[1], options);
                    OnnxTensor tensor = OnnxTensor.createTensor(environment, FloatBuffer.wrap(image), new long[] {1, 64});
                    OrtSession.Result result = session.run(Map.of("image", tensor))) {
                long[] labels = (long[]) result.get("label").orElseThrow().getValue();
                System.out.println("label " + labels[0]);
            }
        } catch (OrtException problem) {
            System.out.println(problem.getMessage());
            System.exit(1);
        }
    }
}
