import CResources
import ModelCheckpoints
import ModelCore

extension Checkpoint {
  /// The small detector that is compiled into the library: a narrow YOLOv6, merged and in float16, that was taught the six
  /// shapes that `DrawnSet` draws, by this library.
  public static func embeddedDetector() throws -> Checkpoint {
    let bytes = UnsafeRawBufferPointer(start: mu_sample_detector(), count: mu_sample_detector_size())
    return try Checkpoint(FileBytes(name: "the built-in detector", permanent: bytes))
  }
}
