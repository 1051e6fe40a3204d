// A CUDA driver without a card.
//
// Built as libcuda.so.1 it lets the CUDA build of a program go all its way on a machine that has none: devices are found, memory
// is reserved and given back, kernels are compiled (by the real NVRTC) and launched, and nothing is computed. What it proves: that
// every kernel compiles, that every launch keeps to the card's limits, what the pools take, and how many launches a step has. What
// it does not: any number, any time.
//
// LIKENESS_STAND_IN_MEMORY  bytes of the card (default 80 GiB); beyond them an allocation fails as on a card
// LIKENESS_STAND_IN_NAME    the card's name: kernels that were compiled for it are taken over by a start on such a card
// LIKENESS_STAND_IN_REPORT  where to write what was counted, as JSON, when the process ends

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef int CUresult;
typedef uint64_t CUdeviceptr;

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500 };
enum { LONGEST_NAME = 512, MOST_NAMES = 1 << 16, MOST_ALLOCATIONS = 1 << 20 };
enum { SHARED_MEMORY = 232448, THREADS = 1024 };

typedef struct {
  char name[LONGEST_NAME];
  uint64_t launches;
} Function;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static Function *functions[MOST_NAMES];
static struct { CUdeviceptr at; size_t bytes; } allocations[MOST_ALLOCATIONS];
static size_t function_count, allocation_count, in_use, most_in_use;
static uint64_t launches, modules, refused;

static size_t capacity(void) {
  const char *given = getenv("LIKENESS_STAND_IN_MEMORY");
  return given ? strtoull(given, NULL, 10) : (size_t)80 << 30;
}

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("LIKENESS_STAND_IN_REPORT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "{\"most_bytes\": %zu, \"launches\": %llu, \"modules\": %llu, \"refused\": %llu, \"kernels\": {", most_in_use,
          (unsigned long long)launches, (unsigned long long)modules, (unsigned long long)refused);
  const char *between = "";
  for (size_t i = 0; i < function_count; i++) {
    if (!functions[i]->launches) continue;
    fprintf(file, "%s\n  \"%s\": %llu", between, functions[i]->name, (unsigned long long)functions[i]->launches);
    between = ",";
  }
  fprintf(file, "}}\n");
  fclose(file);
}

// Devices.

CUresult cuInit(unsigned flags) { (void)flags; return SUCCESS; }
CUresult cuDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return SUCCESS; }
CUresult cuDeviceGet(int *device, int ordinal) { *device = 0; return ordinal == 0 ? SUCCESS : 101; }
CUresult cuDeviceGetName(char *name, int length, int device) {
  (void)device;
  const char *given = getenv("LIKENESS_STAND_IN_NAME");
  snprintf(name, (size_t)length, "%s", given ? given : "stand-in for an NVIDIA H100");
  return SUCCESS;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = capacity(); return SUCCESS; }
CUresult cuDeviceGetPCIBusId(char *id, int length, int device) {
  (void)device;
  snprintf(id, (size_t)length, "0000:00:00.0");
  return SUCCESS;
}
CUresult cuDeviceGetUuid(void *uuid, int device) { (void)device; memset(uuid, 0, 16); return SUCCESS; }
CUresult cuDeviceGetUuid_v2(void *uuid, int device) { return cuDeviceGetUuid(uuid, device); }

// An H100's, by CUdevice_attribute.
CUresult cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) {
    case 1: case 2: case 3: *value = THREADS; break;
    case 4: *value = 64; break;
    case 5: *value = 2147483647; break;
    case 6: case 7: *value = 65535; break;
    case 8: *value = 49152; break;
    case 10: *value = 32; break;
    case 12: case 82: *value = 65536; break;
    case 13: *value = 1980000; break;
    case 16: *value = 132; break;
    case 36: *value = 2619000; break;
    case 37: *value = 5120; break;
    case 38: *value = 52428800; break;
    case 39: *value = 2048; break;
    case 75: *value = 9; break;
    case 76: *value = 0; break;
    case 81: *value = 233472; break;
    case 97: *value = SHARED_MEMORY; break;
    case 41: case 83: case 115: case 120: case 127: *value = 1; break;
    default: *value = 0;
  }
  return SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(void **context, int device) { (void)device; *context = &lock; return SUCCESS; }
CUresult cuDevicePrimaryCtxRelease_v2(int device) { (void)device; return SUCCESS; }
CUresult cuCtxSetCurrent(void *context) { (void)context; return SUCCESS; }
CUresult cuCtxGetCurrent(void **context) { *context = &lock; return SUCCESS; }
CUresult cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
CUresult cuCtxSynchronize(void) { return SUCCESS; }
CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return SUCCESS; }

CUresult cuGetErrorName(CUresult error, const char **name) {
  *name = error == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_INVALID_VALUE";
  return SUCCESS;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
  *text = error == OUT_OF_MEMORY ? "out of memory" : "invalid argument";
  return SUCCESS;
}

// Memory: addresses that nothing lies behind until it is touched, and nothing touches it.

CUresult cuMemAlloc_v2(CUdeviceptr *at, size_t bytes) {
  if (!bytes) return INVALID_VALUE;
  pthread_mutex_lock(&lock);
  CUresult result = OUT_OF_MEMORY;
  if (in_use + bytes <= capacity() && allocation_count < MOST_ALLOCATIONS) {
    void *place = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place != MAP_FAILED) {
      *at = (CUdeviceptr)place;
      allocations[allocation_count].at = *at;
      allocations[allocation_count++].bytes = bytes;
      in_use += bytes;
      if (in_use > most_in_use) most_in_use = in_use;
      result = SUCCESS;
    }
  }
  if (result) refused++;
  pthread_mutex_unlock(&lock);
  return result;
}

CUresult cuMemFree_v2(CUdeviceptr at) {
  pthread_mutex_lock(&lock);
  CUresult result = INVALID_VALUE;
  for (size_t i = 0; i < allocation_count; i++) {
    if (allocations[i].at != at) continue;
    munmap((void *)at, allocations[i].bytes);
    in_use -= allocations[i].bytes;
    allocations[i] = allocations[--allocation_count];
    result = SUCCESS;
    break;
  }
  pthread_mutex_unlock(&lock);
  return result;
}

CUresult cuMemAllocAsync(CUdeviceptr *at, size_t bytes, void *stream) { (void)stream; return cuMemAlloc_v2(at, bytes); }
CUresult cuMemFreeAsync(CUdeviceptr at, void *stream) { (void)stream; return cuMemFree_v2(at); }
CUresult cuMemGetInfo_v2(size_t *free, size_t *total) {
  *total = capacity();
  *free = *total - in_use;
  return SUCCESS;
}
CUresult cuMemAllocHost_v2(void **place, size_t bytes) { *place = calloc(1, bytes ? bytes : 1); return *place ? SUCCESS : OUT_OF_MEMORY; }
CUresult cuMemHostAlloc(void **place, size_t bytes, unsigned flags) { (void)flags; return cuMemAllocHost_v2(place, bytes); }
CUresult cuMemFreeHost(void *place) { free(place); return SUCCESS; }

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, void *stream) {
  (void)to; (void)from; (void)bytes; (void)stream;
  return SUCCESS;
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, void *stream) {
  (void)from; (void)stream;
  memset(to, 0, bytes);
  return SUCCESS;
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, void *stream) {
  (void)to; (void)from; (void)bytes; (void)stream;
  return SUCCESS;
}
CUresult cuMemcpy2DAsync_v2(const void *copy, void *stream) { (void)copy; (void)stream; return SUCCESS; }
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t bytes, void *stream) {
  (void)to; (void)value; (void)bytes; (void)stream;
  return SUCCESS;
}

// Streams and events: everything is done at once.

CUresult cuStreamCreate(void **stream, unsigned flags) { (void)flags; *stream = calloc(1, 8); return SUCCESS; }
CUresult cuStreamCreateWithPriority(void **stream, unsigned flags, int priority) {
  (void)priority;
  return cuStreamCreate(stream, flags);
}
CUresult cuStreamSynchronize(void *stream) { (void)stream; return SUCCESS; }
CUresult cuStreamQuery(void *stream) { (void)stream; return SUCCESS; }
CUresult cuStreamDestroy_v2(void *stream) { free(stream); return SUCCESS; }
CUresult cuStreamWaitEvent(void *stream, void *event, unsigned flags) {
  (void)stream; (void)event; (void)flags;
  return SUCCESS;
}
CUresult cuEventCreate(void **event, unsigned flags) { (void)flags; *event = calloc(1, 8); return SUCCESS; }
CUresult cuEventRecord(void *event, void *stream) { (void)event; (void)stream; return SUCCESS; }
CUresult cuEventSynchronize(void *event) { (void)event; return SUCCESS; }
CUresult cuEventQuery(void *event) { (void)event; return SUCCESS; }
CUresult cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  (void)start; (void)end;
  *milliseconds = 0.01f;
  return SUCCESS;
}
CUresult cuEventElapsedTime_v2(float *milliseconds, void *start, void *end) {
  return cuEventElapsedTime(milliseconds, start, end);
}
CUresult cuEventDestroy_v2(void *event) { free(event); return SUCCESS; }

// NVRTC asks for the driver's own tables to keep what it compiles, and takes an answer for granted: this one has nothing behind its size.
CUresult cuGetExportTable(const void **table, const void *id) {
  static const uint64_t nothing[1] = {sizeof(uint64_t)};
  (void)id;
  *table = nothing;
  return SUCCESS;
}

// Kernels.

CUresult cuModuleLoadData(void **module, const void *image) {
  (void)image;
  pthread_mutex_lock(&lock);
  modules++;
  pthread_mutex_unlock(&lock);
  *module = calloc(1, 8);
  return SUCCESS;
}
CUresult cuModuleUnload(void *module) { free(module); return SUCCESS; }
CUresult cuModuleGetFunction(void **function, void *module, const char *name) {
  (void)module;
  pthread_mutex_lock(&lock);
  Function *found = NULL;
  for (size_t i = 0; i < function_count && !found; i++)
    if (!strncmp(functions[i]->name, name, LONGEST_NAME - 1)) found = functions[i];
  if (!found && function_count < MOST_NAMES && (found = calloc(1, sizeof(Function)))) {
    strncpy(found->name, name, LONGEST_NAME - 1);
    functions[function_count++] = found;
  }
  pthread_mutex_unlock(&lock);
  *function = found;
  return found ? SUCCESS : NOT_FOUND;
}
CUresult cuFuncSetAttribute(void *function, int attribute, int value) {
  (void)function; (void)attribute;
  return value <= SHARED_MEMORY ? SUCCESS : INVALID_VALUE;
}
CUresult cuFuncGetAttribute(int *value, int attribute, void *function) {
  (void)attribute; (void)function;
  *value = 0;
  return SUCCESS;
}
CUresult cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                        unsigned shared, void *stream, void **parameters, void **extra) {
  (void)stream; (void)parameters; (void)extra;
  int fits = gx && gy && gz && bx && by && bz && gx <= 2147483647u && gy <= 65535 && gz <= 65535 && bz <= 64 &&
             (uint64_t)bx * by * bz <= THREADS && shared <= SHARED_MEMORY;
  pthread_mutex_lock(&lock);
  if (fits) {
    launches++;
    ((Function *)function)->launches++;
  } else {
    refused++;
    fprintf(stderr, "stand-in: %s: a grid of %ux%ux%u cubes of %ux%ux%u with %u bytes of shared memory does not fit\n",
            ((Function *)function)->name, gx, gy, gz, bx, by, bz, shared);
  }
  pthread_mutex_unlock(&lock);
  return fits ? SUCCESS : INVALID_VALUE;
}

CUresult cuTensorMapEncodeTiled(void *map) { memset(map, 0, 128); return SUCCESS; }
CUresult cuTensorMapEncodeIm2col(void *map) { memset(map, 0, 128); return SUCCESS; }
CUresult cuTensorMapEncodeIm2colWide(void *map) { memset(map, 0, 128); return SUCCESS; }
