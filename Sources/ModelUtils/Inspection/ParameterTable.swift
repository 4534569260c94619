import CKernels
import ModelCore

/// torch_utils' table of parameters: number, name, gradient, elements, shape, mean and standard deviation.
public struct ParameterTable: Sendable, CustomStringConvertible {
  /// A parameter, once also where it is shared.
  public struct Row: Sendable, Codable, Hashable {
    /// The place in the table, from 0.
    public let index: Int
    /// The dotted name without `module_list.`.
    public let name: String
    /// Whether it requires a gradient.
    public let gradient: Bool
    /// How many elements it has.
    public let parameters: Int
    /// The length of each axis.
    public let shape: [Int]
    /// The mean; NaN for an empty parameter, nil where the type's values are not read (no floats, 4- and 6-bit floats).
    public let mu: Double?
    /// The unbiased standard deviation; NaN below two elements, nil as `mu`.
    public let sigma: Double?
  }

  /// A row for each distinct parameter, in `named_parameters()`'s order.
  public let rows: [Row]

  init(_ parameters: [(name: String, tensor: Tensor, gradient: Bool)]) throws {
    var jobs = parameters.map { (parameter: $0, moments: (mu: Double?.none, sigma: Double?.none)) }
    try Parallel.update(&jobs) { $0.moments = try Self.moments($0.parameter.tensor) }
    rows = jobs.enumerated().map { index, job in
      Row(
        index: index, name: job.parameter.name.removing("module_list."), gradient: job.parameter.gradient,
        parameters: job.parameter.tensor.count, shape: job.parameter.tensor.shape, mu: job.moments.mu,
        sigma: job.moments.sigma)
    }
  }

  /// Mean and standard deviation, rounded to the tensor's type as PyTorch rounds them; of types that are converted and
  /// not computed with those of the values as float32.
  private static func moments(_ tensor: Tensor) throws -> (Double?, Double?) {
    guard tensor.dtype.isConvertible else { return (nil, nil) }
    guard tensor.count > 0 else { return (.nan, .nan) }
    guard let format = tensor.dtype.kernelFormat else { return try moments(tensor.converted(to: .float32)) }
    var (mean, squares) = (0.0, 0.0)
    try tensor.withContiguousBytes { mk_moments($0.baseAddress, tensor.count, format, &mean, &squares) }
    let sigma = tensor.count > 1 ? (squares / Double(tensor.count - 1)).squareRoot() : .nan
    let values = [mean, sigma]
    let exact = try Tensor(.float64, [2]) { bytes in values.withUnsafeBytes { bytes.copyMemory(from: $0) } }
    let rounded = try exact.converted(to: tensor.dtype).doubles()
    return (rounded[0], rounded[1])
  }

  private static func text(_ value: Double?) -> String { value.map { CFormat.string("%.3g", $0) } ?? "-" }

  public var description: String {
    let header = CFormat.string(
      "%5s %40s %9s %12s %20s %10s %10s", "layer", "name", "gradient", "parameters", "shape", "mu", "sigma")
    let lines = rows.map { row in
      CFormat.string(
        "%5g %40s %9s %12g %20s %10s %10s", Double(row.index), row.name, row.gradient ? "True" : "False",
        Double(row.parameters), "\(row.shape)", Self.text(row.mu), Self.text(row.sigma))
    }
    return ([header] + lines).joined(separator: "\n")
  }
}

extension WeightContainer {
  /// The table of all distinct parameters. Reads their values. A bare state dict does not say which require gradients:
  /// all do.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public func parameterTable() throws -> ParameterTable {
    try ParameterTable(
      namedWeights().compactMap { weight in
        guard case .parameter(let requiresGrad) = weight.role else { return nil }
        return (name: weight.name, tensor: weight.tensor, gradient: requiresGrad)
      })
  }
}

extension String {
  fileprivate func removing(_ text: String) -> String {
    var parts: [Substring] = []
    var rest = self[...]
    while let start = rest.indices.first(where: { rest[$0...].hasPrefix(text) }) {
      parts.append(rest[..<start])
      rest = rest[start...].dropFirst(text.count)
    }
    return (parts + [rest]).joined()
  }
}
