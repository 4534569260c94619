import Foundation
import ModelCore
import ModelRuntime
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
  .appendingPathComponent("Fixtures")

/// A temporary folder that goes with the value.
final class Folder: Sendable {
  let path: String

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("mutils-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = url.resolvingSymlinksInPath().path
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { "\(path)/\(name)" }

  func write(_ text: String, to name: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: file(name)))
  }
}

/// A driver that stands in for NVIDIA's, in a copy of its own, whose variable CUDA_VISIBLE_DEVICES is not the
/// process's.
struct StubDriver {
  let runtime: CUDARuntime
  let library: String
  private let folder: Folder
  private let visible: VisibleDevices
  private let handle: UnsafeMutableRawPointer

  init(visible: String? = nil, management: Bool = true) throws {
    folder = try Folder()
    library = folder.file("libcuda.so.1")
    try Self.compile("cuda.c", to: library)
    if management { try Self.compile("nvml.c", to: folder.file("libnvidia-ml.so.1")) }
    let handle = try #require(dlopen(library, RTLD_NOW))
    self.handle = handle
    let variable = VisibleDevices(visible, try #require(dlsym(handle, "stub_visible")))
    self.visible = variable
    runtime = CUDARuntime(
      cuda: library, management: folder.file("libnvidia-ml.so.1"),
      visible: .init(get: { variable.value }, set: { variable.value = $0 }))
  }

  /// What CUDA_VISIBLE_DEVICES is.
  var cudaVisibleDevices: String? { visible.value }

  /// A counter or a setting of the stub.
  func pointer<T>(_ name: String, to type: T.Type) throws -> UnsafeMutablePointer<T> {
    try #require(dlsym(handle, name)).assumingMemoryBound(to: type)
  }

  func select(_ request: String, batchSize: Int? = nil) throws -> DeviceSelection {
    try runtime.select(DeviceRequest(request), batchSize: batchSize)
  }

  private static func compile(_ source: String, to library: String) throws {
    let source = fixtures.appendingPathComponent("drivers/\(source)").path
    try #require(ChildProcess(["cc", "-shared", "-fPIC", "-o", library, source]).wait() == 0)
  }
}

/// Hands what it is set to on to the stub. The runtime asks it one call at a time.
private final class VisibleDevices: Sendable {
  nonisolated(unsafe) private let place: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>

  init(_ value: String?, _ variable: UnsafeMutableRawPointer) {
    place = variable.assumingMemoryBound(to: UnsafeMutablePointer<CChar>?.self)
    self.value = value
  }

  var value: String? {
    get { place.pointee.map { String(cString: $0) } }
    set {
      free(place.pointee)
      place.pointee = newValue.flatMap { strdup($0) }
    }
  }
}
