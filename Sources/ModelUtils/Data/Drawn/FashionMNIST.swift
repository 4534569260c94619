import CKernels

/// Zalando's pictures of garments, which stand in MNIST's files and say nothing of their classes' names.
public enum FashionMNIST {
  /// Where Debian's package `dataset-fashion-mnist` puts them.
  public static let debianFolder = "/usr/share/datasets/fashion-mnist"

  /// The names of the classes, one word each.
  public static let classNames = [
    "t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot",
  ]

  /// SHA-256 of the labels to train with, and of those to test with.
  private static let digests: Set<[UInt8]> = [
    [
      0x65, 0x7f, 0xbd, 0x22, 0x1b, 0xfc, 0x9f, 0x41, 0x98, 0xcc, 0x14, 0xb5, 0x61, 0x9c, 0xc3, 0x3e, 0xc5, 0x7c, 0x58,
      0xdd, 0x0e, 0x47, 0xaf, 0x4d, 0x99, 0xd6, 0x65, 0x07, 0x59, 0xe8, 0x69, 0xa7,
    ],
    [
      0x3d, 0x0e, 0x6c, 0x6e, 0xa9, 0x90, 0xb5, 0x3b, 0x6f, 0x8f, 0x50, 0x0a, 0x41, 0xca, 0xc9, 0x38, 0x81, 0xd9, 0x81,
      0xb3, 0x15, 0xf8, 0x45, 0x78, 0xb7, 0xd9, 0x15, 0x34, 0x2a, 0xde, 0x01, 0xe9,
    ],
  ]

  /// Whether a set is one of the two, by all of its labels.
  public static func contains(_ set: ClassificationSet) -> Bool {
    let labels = set.labels.compactMap { UInt8(exactly: $0) }
    guard labels.count == set.count else { return false }
    var digest = [UInt8](repeating: 0, count: 32)
    mk_sha256(labels, labels.count, &digest)
    return digests.contains(digest)
  }
}
