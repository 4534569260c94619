import ModelCore

/// What torch_utils' `profile` tells of one operation, as a line of its table.
public struct ProfileRow: Sendable, Hashable, Codable {
  /// The elements of all parameters.
  public var parameters: Int
  /// Thousand millions of floating-point operations; 0 where it is not known, as in the original.
  public var gflops: Double
  /// In bytes.
  public var gpuMemory: Int
  /// How long the forward pass took, in seconds.
  public var forward: Timings
  /// nil where there is no backward pass.
  public var backward: Timings?
  /// The shapes; nil for a list of tensors.
  public var input: [Int]?
  /// The output's shape, in the same way.
  public var output: [Int]?

  /// A line of what was measured.
  public init(
    parameters: Int = 0, gflops: Double = 0, gpuMemory: Int = 0, forward: Timings, backward: Timings? = nil,
    input: [Int]?, output: [Int]?
  ) {
    self.parameters = parameters
    self.gflops = gflops
    self.gpuMemory = gpuMemory
    self.forward = forward
    self.backward = backward
    self.input = input
    self.output = output
  }
}

/// The table that torch_utils' `profile` prints.
public struct ProfileTable: Sendable, Hashable, Codable {
  /// A line for each operation, in the order in which they were measured.
  public var rows: [ProfileRow]

  /// A table of the given lines.
  public init(_ rows: [ProfileRow] = []) { self.rows = rows }
}

extension ProfileRow: CustomStringConvertible {
  /// The line. **Ours** gives the median of the times, which one slow call does not move, where the original gives the
  /// mean.
  public var description: String {
    CFormat.string("%12d%12.4g%14.3f", parameters, gflops, Double(gpuMemory) / 1e9)
      + CFormat.string("%14.4g%14.4g", forward.median * 1000, (backward?.median ?? .nan) * 1000)
      + CFormat.string("%24s%24s", Self.text(input), Self.text(output))
  }

  /// As Python writes a tuple.
  private static func text(_ shape: [Int]?) -> String {
    guard let shape else { return "list" }
    return "(" + shape.map(String.init).joined(separator: ", ") + (shape.count == 1 ? ",)" : ")")
  }
}

extension ProfileTable: CustomStringConvertible {
  /// The line with the names of the columns, each as wide as its column.
  public static let header = CFormat.string(
    "%12s%12s%14s%14s%14s%24s%24s", "Params", "GFLOPs", "GPU_mem (GB)", "forward (ms)", "backward (ms)", "input",
    "output"
  )

  public var description: String { ([Self.header] + rows.map(\.description)).joined(separator: "\n") }
}
