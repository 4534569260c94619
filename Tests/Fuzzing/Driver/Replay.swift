import FuzzTargets
import SystemPackage

#if !Fuzzing
  @main enum Replay {
    static func main() throws {
      for path in CommandLine.arguments.dropFirst() {
        let file = try FileDescriptor.open(FilePath(path), .readOnly)
        defer { try? file.close() }
        let size = Int(try file.seek(offset: 0, from: .end))
        let bytes = try [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
          count = try file.read(fromAbsoluteOffset: 0, into: UnsafeMutableRawBufferPointer(buffer))
        }
        print("\(path): \(target.refusal(of: bytes, in: folder) ?? "taken")")
      }
    }
  }
#endif
