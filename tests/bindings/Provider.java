import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtEpDevice;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtSession;
import java.util.List;
import java.util.Map;

/**
 * Runs a list as Run does, but the library is the sessions' execution provider, and their entries are its options.
 *
 * <p>It is a file of its own since ONNX Runtime for Java 1.23, with which Run is compiled, has no such calls.
 */
public final class Provider {
    private static final String NAME = "OnnxHybridExecutionProvider";
    private static List<OrtEpDevice> devices;

    public static void main(String[] arguments) throws Exception {
        OrtEnvironment environment = OrtEnvironment.getEnvironment();
        environment.registerExecutionProviderLibrary("onnxhybrid", arguments[0]);
        devices = environment.getEpDevices().stream().filter(device -> device.getEpName().equals(NAME)).toList();
        Run.door = Provider::append;
        Run.main(arguments);
    }

    private static void append(OrtSession.SessionOptions options, Map<String, String> entries) throws OrtException {
        options.addExecutionProvider(devices, entries);
    }
}
