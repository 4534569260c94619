import CZlib
import ModelCore
import SystemPackage

/// MNIST's files of one array of bytes, as they are or compressed by gzip.
public enum IDXFile {
  /// Reads an array of bytes: uint8 of the shape that the file says.
  /// - Throws: `ModelError` for a file that is malformed, cut, damaged or of other elements.
  public static func read(_ location: some FileLocation) throws -> Tensor {
    let file = try FileBytes(mapping: location)
    do {
      if let start = file.slice(0, 2), start[0] == 0x1f, start[1] == 0x8b { return try readCompressed(file) }
      let shape = try readShape(file.bytes)
      let offset = headerSize(shape)
      guard let count = Tensor.elementCount(shape), file.count - offset == count,
        let storage = Storage(file, offset: offset, byteCount: count)
      else { throw ModelError(.malformed, "has \(file.count - offset) bytes for an array of shape \(shape)") }
      return try Tensor(storage, dtype: .uint8, shape: shape)
    } catch let error as ModelError { throw error.inFile(file.name) }
  }

  private static func headerSize(_ shape: [Int]) -> Int { 4 + 4 * shape.count }

  private static func readShape(_ bytes: UnsafeRawBufferPointer) throws -> [Int] {
    guard bytes.count >= 4, bytes[0] == 0, bytes[1] == 0 else { throw ModelError(.malformed, "is no IDX file") }
    guard bytes[2] == 8 else { throw ModelError(.unsupported, "holds elements of type \(bytes[2]), not bytes") }
    let rank = Int(bytes[3])
    guard (1...8).contains(rank), bytes.count >= 4 + 4 * rank else {
      throw ModelError(.malformed, "has \(rank) axes, or is cut in its header")
    }
    let shape = (0..<rank).map { axis in
      Int(UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 + 4 * axis, as: UInt32.self)))
    }
    guard Tensor.elementCount(shape) != nil else { throw ModelError(.malformed, "its shape \(shape) overflows") }
    return shape
  }

  private static func readCompressed(_ file: FileBytes) throws -> Tensor {
    var header = [UInt8](repeating: 0, count: 4 + 4 * 8)
    let known = try header.withUnsafeMutableBytes { try GzipStream(file).read($0) }
    let shape = try header.withUnsafeBytes { try readShape(UnsafeRawBufferPointer(rebasing: $0[..<known])) }
    let offset = headerSize(shape)
    // Deflate makes at most 1032 bytes of one.
    guard let count = Tensor.elementCount(shape), count / 1032 <= file.count else {
      throw ModelError(.malformed, "is too short for an array of shape \(shape)")
    }
    return try Tensor(.uint8, shape) { bytes in
      let stream = try GzipStream(file)
      _ = try header.withUnsafeMutableBytes { try stream.read(UnsafeMutableRawBufferPointer(rebasing: $0[..<offset])) }
      let filled = try stream.read(bytes)
      let more = try header.withUnsafeMutableBytes { try stream.read($0) }
      guard filled == count, more == 0 else {
        throw ModelError(.malformed, "has not the bytes for an array of shape \(shape)")
      }
    }
  }
}

/// The bytes that gzip compressed.
private final class GzipStream {
  private let file: FileBytes
  /// In a place of its own, for zlib remembers where it is.
  private let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
  private var offset = 0
  private var isAtEnd = false

  init(_ file: FileBytes) throws {
    self.file = file
    stream.initialize(to: z_stream())
    // 16 more than the window's bits: gzip's header and checksum.
    guard inflateInit2_(stream, 15 + 16, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
      throw ModelError(.system, "zlib cannot be used")
    }
  }

  deinit {
    inflateEnd(stream)
    stream.deallocate()
  }

  /// Fills the buffer as far as there are bytes.
  func read(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
    var filled = 0
    while filled < buffer.count, !isAtEnd {
      let (available, room) = (min(file.count - offset, 1 << 30), min(buffer.count - filled, 1 << 30))
      stream.pointee.next_in = file.bytes.baseAddress.map {
        UnsafeMutablePointer(mutating: ($0 + offset).assumingMemoryBound(to: UInt8.self))
      }
      stream.pointee.avail_in = UInt32(available)
      stream.pointee.next_out = (buffer.baseAddress! + filled).assumingMemoryBound(to: UInt8.self)
      stream.pointee.avail_out = UInt32(room)
      let status = inflate(stream, Z_NO_FLUSH)
      offset += available - Int(stream.pointee.avail_in)
      filled += room - Int(stream.pointee.avail_out)
      isAtEnd = status == Z_STREAM_END
      guard isAtEnd || (status == Z_OK && (stream.pointee.avail_out == 0 || offset < file.count)) else {
        throw ModelError(.malformed, "its compressed data is damaged or cut", offset: offset)
      }
    }
    return filled
  }
}

extension ClassificationSet {
  /// Pictures and labels in two files, as MNIST and Fashion-MNIST have them.
  /// - Throws: `ModelError` for counts that do not match, labels out of range, and as `IDXFile.read`.
  public init(idx images: some FileLocation, labels: some FileLocation, classNames: [String]? = nil) throws {
    let pictures = try IDXFile.read(images)
    let numbers = try IDXFile.read(labels)
    guard numbers.shape.count == 1 else {
      throw ModelError(.mismatch, "labels are [count], not \(numbers.shape)", file: try labels.filePath.string)
    }
    try self.init(
      name: try images.filePath.string, pictures: pictures,
      labels: numbers.elements(of: UInt8.self).map(Int.init), classNames: classNames)
  }
}

extension ClassificationSets {
  /// A folder of MNIST's four files, `train-images-idx3-ubyte` and so on, with or without `.gz`.
  /// - Throws: `ModelError` for missing files, and as `ClassificationSet.init(idx:labels:classNames:)`.
  public init(idx folder: some FileLocation) throws {
    let path = try folder.filePath
    func file(_ name: String) throws -> FilePath {
      let names = [name, name + ".gz", name.replacing("-idx", with: ".idx")]
      guard let found = names.map({ path.appending($0) }).first(where: FileFolder.exists) else {
        throw ModelError(.missing, "is not there", file: path.appending(name).string)
      }
      return found
    }
    let training = try ClassificationSet(
      idx: file("train-images-idx3-ubyte"), labels: file("train-labels-idx1-ubyte"))
    let hasTest = ["t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz", "t10k-images.idx3-ubyte"].contains {
      FileFolder.exists(path.appending($0))
    }
    let validation =
      hasTest
      ? try ClassificationSet(
        idx: file("t10k-images-idx3-ubyte"), labels: file("t10k-labels-idx1-ubyte"), classNames: training.classNames)
      : nil
    try self.init(training: training, validation: validation)
  }
}
