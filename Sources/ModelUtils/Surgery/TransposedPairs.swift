import ModelArchitectures
import ModelCore

/// Which pairs of a bare state dict are transposed convolutions: the outputs of those lie along axis 1 of the weight.
///
/// The caller says so, or the shapes prove it: where the weight fits as a transposed convolution's alone. Where both
/// fit, an ordinary convolution is what it nearly always is, unless something speaks against that; then it is asked.
struct TransposedPairs {
  /// The groups of each transposed convolution, by name.
  private(set) var groups: OrderedDictionary<String, Int> = [:]
  /// What was taken for an ordinary convolution without proof.
  private(set) var assumedOrdinary: [String] = []

  /// - Parameter transposed: patterns for the transposed ones, all others being ordinary; nil where the caller does not
  ///   say.
  /// - Throws: `ModelError` for a pattern that names none of the pairs, a weight that cannot be what the caller says, and
  ///   one that may be either.
  init(_ pairs: [FusionReport.Pair], in state: StateDict, transposed: [Glob]?) throws {
    let readings = pairs.map { Reading($0, in: state) }
    if let transposed {
      try takeWord(transposed, readings)
      return
    }
    for reading in readings where reading.isProvablyTransposed { groups[reading.conv] = 1 }
    var doubtful = readings.filter(\.fitsBoth)
    // A known architecture says what its convolutions are.
    if !doubtful.isEmpty, let known = state.recognized() {
      let prefix = known.prefix
      doubtful = doubtful.filter { reading in
        guard reading.conv.hasPrefix(prefix),
          case .convolution(let layer) = known.module[String(reading.conv.dropFirst(prefix.count))]?.layer
        else { return true }
        return layer.isTransposed
      }
    }
    if let asked = doubtful.first(where: { $0.looksTransposed || !groups.isEmpty }) {
      throw ModelError(
        .unsupported, "may be a transposed convolution: its weight \(asked.shape) fits one, too",
        subject: asked.conv, advice: "name those that are with --transposed, or say --no-transposed")
    }
    assumedOrdinary = doubtful.map(\.conv)
  }

  private mutating func takeWord(_ patterns: [Glob], _ readings: [Reading]) throws {
    if let idle = patterns.first(where: { pattern in !readings.contains { pattern.matches($0.conv) } }) {
      throw ModelError(.missing, "names no convolution of the pairs", subject: "--transposed \(idle.pattern)")
    }
    for reading in readings where patterns.contains(where: { $0.matches(reading.conv) }) {
      guard let count = reading.groups else {
        throw ModelError(
          .mismatch,
          "a weight of shape \(reading.shape) is no transposed convolution's that gives \(reading.features) channels",
          subject: reading.conv)
      }
      groups[reading.conv] = count
    }
  }

  /// What the shapes of a pair allow.
  private struct Reading {
    let conv: String
    let shape: [Int]
    let features: Int
    /// The groups that a transposed convolution of this shape has; nil where it is none.
    let groups: Int?

    init(_ pair: FusionReport.Pair, in state: StateDict) {
      conv = pair.conv
      shape = state["\(pair.conv).weight"]?.shape ?? []
      features = state["\(pair.bn).running_var"]?.count ?? 0
      // [in, out/groups, kernel…]
      guard shape.count > 2, shape[1] > 0, features > 0, features % shape[1] == 0,
        shape[0] % (features / shape[1]) == 0
      else {
        groups = nil
        return
      }
      groups = features / shape[1]
    }

    private var fitsOrdinary: Bool { shape.first == features }

    /// Whether it may be either, which makes a difference: with one channel a group both axes are scaled alike.
    var fitsBoth: Bool { fitsOrdinary && groups.map { $0 < features } ?? false }

    /// Channels that differ, and a kernel that is more than a matrix, are more than a mistaken name.
    var isProvablyTransposed: Bool { !fitsOrdinary && groups == 1 && shape.dropFirst(2).contains { $0 > 1 } }

    /// Transposed convolutions have even kernels, so that they cover their output evenly, or are called so.
    var looksTransposed: Bool {
      let name = conv.lowercased()
      return shape.dropFirst(2).contains { $0.isMultiple(of: 2) }
        || ["transpose", "deconv", "upconv", "up_conv", "convt"].contains { name.contains($0) }
    }
  }
}
