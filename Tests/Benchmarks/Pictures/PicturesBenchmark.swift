import ModelUtils

/// Prints the milliseconds of each repetition, a line for each operation: `name t1 t2 …`. The first repetition warms
/// up.
@main
enum PicturesBenchmark {
  static func main() throws {
    let repetitions = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 10
    let shape = [16, 3, 640, 640]
    let bytes = try Tensor(.uint8, shape) { bytes in
      for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 40503 >> 8) }
    }
    let floats = try scaleImage(bytes)
    let photo = try Tensor(bytes.storage, dtype: .uint8, shape: [1080, 1920, 3])
    try time("scaleImage float32", repetitions) { _ = try scaleImage(floats, ratio: 0.83) }
    try time("scaleImage uint8", repetitions) { _ = try scaleImage(bytes, ratio: 0.83) }
    try time("letterbox 1080x1920", repetitions) { _ = try letterbox(photo) }
  }

  static func time(_ name: String, _ repetitions: Int, _ body: () throws -> Void) rethrows {
    var line = name
    for repetition in 0...repetitions {
      let duration = try ContinuousClock().measure(body)
      if repetition > 0 { line += "\t\(duration / .milliseconds(1))" }
    }
    print(line)
  }
}
