import ModelCore

@testable import ModelGraph

/// The operations over windows of the cases of Goldens/operations.txt.
extension ReferenceTests {
  static let windows = pools.merging(resizes) { $1 }.merging(margins) { $1 }

  private static let pools: [String: Operation] = {
    func pool(
      _ kind: Pool.Kind, _ kernelSize: [Int], _ stride: [Int], _ padding: [Int]? = nil, dilation: [Int]? = nil,
      ceilMode: Bool = false, countsPadding: Bool = true, divisor: Int? = nil
    ) -> Operation {
      .pool(
        Pool(
          kind, kernelSize: kernelSize, stride: stride, padding: padding, dilation: dilation, ceilMode: ceilMode,
          countsPadding: countsPadding, divisor: divisor))
    }
    var operations: [String: Operation] = [
      "max pool dilation": pool(.max, [2, 3], [1, 1], [1, 1], dilation: [3, 2]),
      "max pool no batch": pool(.max, [2, 2], [2, 2]),
      "max pool nan": pool(.max, [2], [2]),
      "avg pool without padding": pool(.average, [3, 3], [2, 2], [1, 1], countsPadding: false),
      "avg pool ceil without padding": pool(.average, [3, 3], [2, 2], [1, 1], ceilMode: true, countsPadding: false),
      "avg pool ceil over the edge": pool(.average, [3, 3], [3, 3], [1, 1], ceilMode: true),
      "avg pool divisor": pool(.average, [2, 2], [2, 2], [1, 1], divisor: 3),
      "adaptive avg pool larger": .adaptivePool(AdaptivePool(.average, outputSize: [5, nil])),
    ]
    for (kind, name): (Pool.Kind, String) in [(.max, "max"), (.average, "avg")] {
      for rank in 1...3 {
        func all(_ value: Int) -> [Int] { [Int](repeating: value, count: rank) }
        operations["\(name) pool \(rank)"] = pool(kind, all(3), all(2), all(1))
        operations["\(name) pool \(rank) ceil"] = pool(kind, all(2), all(2), all(1), ceilMode: true)
        operations["adaptive \(name) pool \(rank)"] = .adaptivePool(
          AdaptivePool(kind, outputSize: Array([3, 2, 1].prefix(rank))))
      }
    }
    return operations
  }()

  private static let resizes: [String: Operation] = {
    var operations: [String: Operation] = [:]
    for (name, mode): (String, Resize.Mode) in [("nearest", .nearest), ("nearest-exact", .nearestExact)] {
      for size in [[6, 10], [5, 13], [2, 3], [1, 1]] {
        operations["resize \(name) \(size[0])x\(size[1])"] = .resize(Resize(.size(size), mode: mode))
      }
      operations["resize \(name) scale"] = .resize(Resize(.scale([1.7, 2.3]), mode: mode))
      operations["resize \(name) 1d"] = .resize(Resize(.size([49]), mode: mode))
    }
    for (name, mode): (String, Resize.Mode) in [
      ("linear", .linear), ("bilinear", .linear), ("trilinear", .linear), ("bicubic", .cubic),
    ] {
      for alignsCorners in [false, true] {
        let suffix = alignsCorners ? " aligned" : ""
        for length in [1, 3, 9] {
          operations["resize \(name) \(length)\(suffix)"] = .resize(
            Resize(.size([length]), mode: mode, alignsCorners: alignsCorners))
        }
        operations["resize \(name) scale\(suffix)"] = .resize(
          Resize(.scale([1.7]), mode: mode, alignsCorners: alignsCorners))
      }
    }
    return operations
  }()

  private static let margins: [String: Operation] = {
    func line(_ before: Int, _ after: Int, _ mode: PadMode) -> Operation {
      .pad([Margin(0), Margin(0), Margin(before, after)], mode)
    }
    let picture = [Margin(0), Margin(0), Margin(2, 0), Margin(1, 2)]
    return [
      "pad constant": .pad(picture, .constant(0)), "pad reflect": .pad(picture, .reflect),
      "pad replicate": .pad(picture, .replicate), "pad circular": .pad(picture, .circular),
      "pad value": .pad([Margin(0), Margin(0, 1)], .constant(-7.5)),
      "pad cut": .pad([Margin(1, -2), Margin(-1, 2)], .constant(0)),
      "pad cut reflect": line(-1, 2, .reflect), "pad cut replicate": line(2, -1, .replicate),
      "pad cut circular": line(2, -1, .circular),
      "same pad": .samePad(SamePadding(kernelSize: [3, 3], stride: [2, 2])),
      "same pad dilation": .samePad(
        SamePadding(kernelSize: [5, 1], stride: [1, 4], dilation: [2, 1], value: -.infinity)),
      "same pad rows": .samePad(SamePadding(kernelSize: [4], stride: [1])),
      "grid sample": .gridSample(alignsCorners: false), "grid sample aligned": .gridSample(alignsCorners: true),
    ]
  }()
}
